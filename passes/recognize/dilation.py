"""A dilated convolution written as a plain one over the interleaved images that its taps see."""

from __future__ import annotations

from mconv.ir import Value
from mconv.ir.ops import Conv, Reshape, Transpose

from ..pattern import Match, pat
from ..rewrite import Add, rule

_TO_FIRST, _TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
_TO_BATCH, _TO_SPACE = (2, 4, 0, 1, 3, 5), (2, 3, 0, 4, 1, 5)
_SPREAD = pat(
    Reshape, pat(Transpose, pat(Reshape, "x", label="split"), label="to batch"), label="images"
)  # [N, h b, w b, C] -> [b b N, h, w, C]
_GATHERED = pat(Transpose, pat(Conv, pat(Transpose, _SPREAD, label="first"), "w", "b"), label="last")


@rule(pat(Reshape, pat(Transpose, pat(Reshape, _GATHERED, label="apart"), label="to space")))
def dilation_for_interleaved_images(m: Match, add: Add) -> Value:
    """Images of every b-th row and column, each convolved, and put together again, are a Conv with dilation b.

    TensorFlow computes dilations so, and TFLite files keep it: SPACE_TO_BATCH_ND, CONV_2D, BATCH_TO_SPACE_ND.
    """
    conv, x = m.op(Conv), m["x"].type.shape
    inner = ("split", "to batch", "images", "first", "last", "apart", "to space")
    m.require(m.only_reader(*inner, Conv), "an inner result is read elsewhere")
    perms = [m.node(name).op for name in ("to batch", "first", "last", "to space")]
    wanted = (_TO_BATCH, _TO_FIRST, _TO_LAST, _TO_SPACE)
    m.require(all(isinstance(p, Transpose) and p.perm == w for p, w in zip(perms, wanted, strict=True)), "other orders")
    plain = conv.strides == (1, 1) and not any(conv.pads) and not conv.channels_last
    m.require(plain, "the convolution has strides or pads")
    split, apart = m.node("split").result.type.shape, m.node("apart").result.type.shape
    m.require(len(x) == 4 and len(split) == 6 and len(apart) == 6, "other shapes")
    blocks = (split[2], split[4])
    m.require(all(isinstance(b, int) for b in blocks), "blocks that only running tells")
    m.require(split[0] == x[0] and split[5] == x[3], "more than rows and columns are split")
    batched = m.node("images").result.type.shape
    m.require(batched[1:] == (split[1], split[3], x[3]), "the images are joined differently")
    m.require(apart[:2] == blocks and apart[2] == x[0], "the images are put together differently")
    rows, columns = apart[3] * blocks[0], apart[4] * blocks[1]
    m.require(m.root.result.type.shape == (x[0], rows, columns, apart[5]), "the rows are joined differently")
    dilations = tuple(int(str(b)) * d for b, d in zip(blocks, conv.dilations, strict=True))
    first = add(Transpose(_TO_FIRST), m["x"])
    made = add(conv.replace(dilations=dilations), first, m["w"], m.get("b"))
    return add(Transpose(_TO_LAST), made)
