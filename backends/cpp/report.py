"""What report.json says of a net: its memory, its work, step by step; and a picture of the arena."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from .memory import Interval, Plan
from .net import Net
from .source import described
from .stream import Group

WIDTH, HEIGHT = 1000, 500


def facts(
    net: Net, plan: Plan, groups: Sequence[Group], *, whole_bound: int, unshared: int, weights: int, prepared: int
) -> dict[str, Any]:
    """The numbers of report.json; bytes and FLOPs.

    ``whole_bound`` is the lower bound with nothing streamed, ``unshared`` the sum of all buffers then; ``weights`` is
    the size of their file, ``prepared`` that of what is made of them at create.
    """
    return {
        "arena": {
            "bytes": plan.nbytes,
            "lower_bound": plan.bound,
            "lower_bound_without_streaming": whole_bound,
            "without_reuse": unshared,
            "extra_per_thread": plan.per_worker,
        },
        "weights": {"bytes": weights, "prepared_at_create": prepared},
        "flops": sum(s.flops for s in net.steps),
        "streamed": [{"steps": [g.first, g.last - 1], "calls": len(g.calls)} for g in groups],
        "steps": [
            {"step": f"step{number}", "flops": step.flops, "scratch": step.scratch}
            for number, step in enumerate(net.steps)
        ],
        "buffers": [
            {"offset": offset, "bytes": i.nbytes, "steps": [i.first, i.last], "scratch": i.buffer is None}
            for i, offset in zip(plan.intervals, plan.offsets, strict=True)
        ],
    }


def summary(facts: dict[str, Any]) -> tuple[str, ...]:
    """The memory in a line."""
    arena, weights = facts["arena"], facts["weights"]
    streamed = f", {facts['arena']['lower_bound_without_streaming'] / 1e6:.2f} MB without streaming rows"
    return (
        f"memory: arena {arena['bytes'] / 1e6:.2f} MB (lower bound {arena['lower_bound'] / 1e6:.2f} MB"
        f"{streamed if facts['streamed'] else ''}, {arena['without_reuse'] / 1e6:.2f} MB without reuse), "
        f"weights {weights['bytes'] / 1e6:.2f} MB and {weights['prepared_at_create'] / 1e6:.2f} MB made of them; "
        "see memory.svg",
    )


def svg(net: Net, plan: Plan) -> str:
    """The arena as a picture: steps to the right, bytes upward, a box for each buffer."""
    steps = max(len(net.steps), 1)
    across, up = WIDTH / steps, HEIGHT / max(plan.nbytes, 1)
    boxes = [
        _box(i, offset, across, up, described(net.steps[i.first]))
        for i, offset in zip(plan.intervals, plan.offsets, strict=True)
    ]
    bound = HEIGHT - plan.bound * up
    title = f"{plan.nbytes} bytes; lower bound {plan.bound} (dashed); without reuse {plan.unshared}"
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" '
            f'viewBox="-10 -30 {WIDTH + 20} {HEIGHT + 60}">',
            f'<text x="0" y="-10" font-size="14">{title}</text>',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#f4f4f4"/>',
            *boxes,
            f'<line x1="0" x2="{WIDTH}" y1="{bound:.1f}" y2="{bound:.1f}" stroke="#b00" stroke-dasharray="6 4"/>',
            f'<text x="0" y="{HEIGHT + 18}" font-size="12">step 0</text>',
            f'<text x="{WIDTH}" y="{HEIGHT + 18}" font-size="12" text-anchor="end">step {steps - 1}</text>',
            "</svg>",
            "",
        ]
    )


def _box(i: Interval, offset: int, across: float, up: float, what: str) -> str:
    x, width = i.first * across, (i.last - i.first + 1) * across
    height = max(i.nbytes * up, 0.5)
    y = HEIGHT - offset * up - height
    color = "#e0a030" if i.buffer is None else "#4a90c0"
    label = escape(f"{what}: {i.nbytes} bytes at {offset}, steps {i.first} to {i.last}")
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}" fill-opacity="0.6" '
        f'stroke="#234" stroke-width="0.4"><title>{label}</title></rect>'
    )
