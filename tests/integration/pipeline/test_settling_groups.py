"""The group book goes back to little memory once much has changed, and says the same before and after."""

from __future__ import annotations

from dedupd.core.records import DUPLICATE_RELATIONS
from dedupd.pipeline.group_book import GroupBook


def test_groups_are_settled_once_much_has_changed(bench):
    for scene in ("beach", "forest", "harbour"):
        bench.write(f"{scene}.jpg", scene, "one")
        bench.write(f"{scene} again.jpg", scene, "two")
    bench.settle_all()
    with bench.library.view() as view:
        edges = [edge for edge in view.edges() if edge.relation.is_duplicate]
    assert len(edges) == 3
    book = GroupBook(bench.library, settle_from=5)
    for edge in edges[:2]:
        book.add(edge)
    assert not book.settle_if_due(), "these few are not worth the wait"
    book.add(edges[2])
    before = [*book.all(DUPLICATE_RELATIONS)]
    assert len(before) == 3
    assert book.settle_if_due()
    assert not book.settle_if_due(), "nothing has changed since"
    assert [*book.all(DUPLICATE_RELATIONS)] == before == [*bench.groups.all(DUPLICATE_RELATIONS)]
    gone = edges[0].a
    book.remove(gone)
    left = [*book.all(DUPLICATE_RELATIONS)]
    assert [group for group in before if gone not in group.contents] == left, "what settled can change again"
