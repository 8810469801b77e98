"""Which file names say that they are a copy's: what file managers, phones, messengers and editors add. Pure."""

from __future__ import annotations

import re
import unicodedata

_COPY_NAME = re.compile(
    r"""\(\d{1,3}\)(?=\.[^.]*$|$)                         # IMG_1 (1).jpg
      | ~\d{1,2}(?=\.[^.]*$|$)                            # Android: IMG_1~2.jpg
      # file managers: English, German and Dutch, Italian and Spanish, French, Polish and Swedish, Norwegian and Danish,
      # Portuguese, Hungarian
      | (?<![^\W_])(?:copy|kopie|copia|copie|kopia|kopi|cópia|másolat)(?![^\W_])
      | (?<![^\W_])(?:копия|копія|αντίγραφο|kopio|kopya)(?![^\W_])
      | コピー | 副本 | 拷贝 | 복사본
      # Google Photos: what its editor made, in the language of the phone
      | -(?:edited|bearbeitet|modifié|editado|editada|modificato|bewerkt|edytowane|redigerad|redigert|redigeret
           |muokattu|upraveno|düzenlendi|изменено|編集済み|edited-\d+)(?=[.(]|$)
      | -modifi
      # messengers and screenshots
      | ^img-\d{8}-wa\d+ | ^whatsapp\ image | ^fb_img_ | ^signal-\d{4}-\d\d-\d\d | ^screenshot
    """,
    re.VERBOSE,
)


def is_copy_name(name: bytes) -> bool:
    """Whether a file name rather belongs to a copy; neither case nor the way accents are composed matters."""
    text = unicodedata.normalize("NFC", name.decode("utf-8", "surrogateescape")).lower()
    return _COPY_NAME.search(text) is not None
