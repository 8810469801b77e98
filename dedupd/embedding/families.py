"""The kinds of vision model that dedupd knows, and what is particular to each.

A table without code: which class of transformers holds the vision tower, what of its output is the embedding, which
tensor tells the embedding's length, where candidates start. Looks at no file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

CODE_VERSION = 1  # raise it when code changes what comes out of a model; it is part of every tag

FLASH, SDPA, EAGER = "flash_attention_2", "sdpa", "eager"


class Pooling(StrEnum):
    """What of a tower's output is the embedding."""

    HEAD = "head"  # the tower's own `pooler_output`
    PROJECTED = "projected"  # `image_embeds`, in the space that the model shares with texts
    CLS = "cls"  # the first token
    MEAN = "mean"  # of all tokens that are no padding


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of model file."""

    name: str
    model_type: str  # as config.json says it, without "_vision_model"
    tower: str  # the class in transformers
    pooling: Pooling
    told_by: str  # the tensor whose first side is the embedding's length; a file without it is another kind
    prefixes: tuple[str, ...]  # what may stand before that tensor's name
    processor: str  # the preprocessing of files that do not name theirs
    candidate_similarity: float
    attentions: tuple[str, ...] = (FLASH, SDPA, EAGER)  # the best first
    options: dict[str, bool] = field(default_factory=dict)  # for the class's constructor

    @property
    def is_convolutional(self) -> bool:
        """Whether it runs faster with its channels last in memory."""
        return not self.attentions


# Where candidates start is an estimate from what is published and told from the field (docs/models.md); cosines of
# unrelated photos lie near 0.5 … 0.7 for models trained with texts and for pooled activations, near 0.1 … 0.3 for
# self-supervised ones. `dedupd calibrate` measures them on a library.
_WITH_TEXTS = 0.88
_SELF_SUPERVISED = 0.75

_KINDS = (
    Family(
        name="siglip2",
        model_type="siglip2",
        tower="Siglip2VisionModel",
        pooling=Pooling.HEAD,
        told_by="head.layernorm.weight",
        prefixes=("vision_model.", ""),
        processor="Siglip2ImageProcessor",
        candidate_similarity=_WITH_TEXTS,
        attentions=(SDPA, EAGER),  # its mask of padded patches is not for flash attention
    ),
    Family(
        name="siglip2-tokens",
        model_type="siglip2",
        tower="Siglip2VisionModel",
        pooling=Pooling.MEAN,
        told_by="post_layernorm.weight",
        prefixes=("vision_model.", ""),
        processor="Siglip2ImageProcessor",
        candidate_similarity=_WITH_TEXTS,
        attentions=(SDPA, EAGER),
    ),
    Family(
        name="siglip",
        model_type="siglip",
        tower="SiglipVisionModel",
        pooling=Pooling.HEAD,
        told_by="head.layernorm.weight",
        prefixes=("vision_model.", ""),
        processor="SiglipImageProcessor",
        candidate_similarity=_WITH_TEXTS,
    ),
    Family(
        name="siglip-tokens",
        model_type="siglip",
        tower="SiglipVisionModel",
        pooling=Pooling.MEAN,
        told_by="post_layernorm.weight",
        prefixes=("vision_model.", ""),
        processor="SiglipImageProcessor",
        candidate_similarity=_WITH_TEXTS,
    ),
    Family(
        name="clip",
        model_type="clip",
        tower="CLIPVisionModelWithProjection",
        pooling=Pooling.PROJECTED,
        told_by="visual_projection.weight",
        prefixes=("",),
        processor="CLIPImageProcessor",
        candidate_similarity=0.9,  # its cosines are the narrowest of all
    ),
    Family(
        name="clip-tower",
        model_type="clip",
        tower="CLIPVisionModel",
        pooling=Pooling.HEAD,
        told_by="post_layernorm.weight",
        prefixes=("vision_model.", ""),
        processor="CLIPImageProcessor",
        candidate_similarity=0.9,
    ),
    Family(
        name="dinov2",
        model_type="dinov2",
        tower="Dinov2Model",
        pooling=Pooling.HEAD,
        told_by="layernorm.weight",
        prefixes=("", "dinov2."),
        processor="BitImageProcessor",
        candidate_similarity=_SELF_SUPERVISED,
    ),
    Family(
        name="dinov3_vit",
        model_type="dinov3_vit",
        tower="DINOv3ViTModel",
        pooling=Pooling.HEAD,
        told_by="norm.weight",
        prefixes=("", "model."),
        processor="DINOv3ViTImageProcessor",
        candidate_similarity=_SELF_SUPERVISED,
    ),
    Family(
        name="vit",
        model_type="vit",
        tower="ViTModel",
        pooling=Pooling.CLS,  # checkpoints for classes come without a pooler, it would be made up
        told_by="layernorm.weight",
        prefixes=("vit.", ""),
        processor="ViTImageProcessor",
        candidate_similarity=_SELF_SUPERVISED,
        options={"add_pooling_layer": False},
    ),
    Family(
        name="convnext",
        model_type="convnext",
        tower="ConvNextModel",
        pooling=Pooling.HEAD,
        told_by="layernorm.weight",
        prefixes=("convnext.", ""),
        processor="ConvNextImageProcessor",
        candidate_similarity=_SELF_SUPERVISED,
        attentions=(),
    ),
    Family(
        name="efficientnet",
        model_type="efficientnet",
        tower="EfficientNetModel",
        pooling=Pooling.HEAD,
        told_by="encoder.top_conv.weight",
        prefixes=("efficientnet.", ""),
        processor="EfficientNetImageProcessor",
        candidate_similarity=0.8,
        attentions=(),
    ),
)

FAMILIES = {family.name: family for family in _KINDS}
MODEL_TYPES = tuple(dict.fromkeys(family.model_type for family in _KINDS))


def families_of(model_type: str) -> tuple[Family, ...]:
    """The kinds that a model type may be, the one to prefer first; none for a type that dedupd does not know."""
    plain = model_type.removesuffix("_vision_model")
    return tuple(family for family in _KINDS if family.model_type == plain)
