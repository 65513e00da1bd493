"""Baselines as messages."""

from collections.abc import Iterable
from typing import Final

from project_provisioning.domain.baseline import (
    Baseline,
    Difference,
    DifferenceKind,
    Item,
    ItemKind,
)
from throughline.project_provisioning.v1 import baseline_service_pb2 as pb
from throughline_runtime.fields import EnumMap, write_date, write_id, write_instant

ITEM_KINDS: Final = EnumMap(pb.BaselineItemKind, ItemKind)
DIFFERENCE_KINDS: Final = EnumMap(pb.BaselineDifferenceKind, DifferenceKind)


def write_baseline(baseline: Baseline) -> pb.Baseline:
    """Return a baseline with the items it was read with."""
    return pb.Baseline(
        baseline_id=write_id(baseline.baseline_id),
        project_id=write_id(baseline.project_id),
        number=baseline.number,
        label=baseline.label,
        reason=baseline.reason,
        taken_on=write_date(baseline.taken_on),
        taken_by=baseline.taken_by,
        taken_at=write_instant(baseline.taken_at),
        contract_version=baseline.contract_version,
        items=map(_write_item, baseline.items),
    )


def write_differences(differences: Iterable[Difference]) -> list[pb.BaselineDifference]:
    """Return how two snapshots differ."""
    return [
        pb.BaselineDifference(
            kind=DIFFERENCE_KINDS.write(each.kind),
            item_kind=ITEM_KINDS.write(each.item_kind),
            key=each.key,
            name=each.name,
            figure=each.figure,
            old_value=each.old_value,
            new_value=each.new_value,
            change=each.change,
        )
        for each in differences
    ]


def _write_item(item: Item) -> pb.BaselineItem:
    return pb.BaselineItem(
        kind=ITEM_KINDS.write(item.kind),
        key=item.key,
        name=item.name,
        figures=[pb.BaselineFigure(name=name, value=value) for name, value in item.figures.items()],
    )
