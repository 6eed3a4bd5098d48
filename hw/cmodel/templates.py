"""What functions of the C model look like: templates that read like what they compute.

Shifts to the left are products and those to the right of negative numbers go through their complement: C99 leaves the
plain ones undefined or to the compiler.
"""

from __future__ import annotations

from string import Template

PACKED = Template("""\
static inline void ${f}(const $x *x, $y *y)
{
    const uint8_t *w = ${name}_weights;
    $sum sum[$outputs], all = 0;
    int i, o;
    for (i = 0; i < $inputs; i++) all += x[i];
    for (o = 0; o < $outputs; o++) sum[o] = ${name}_bias[o] - all;  /* weights are stored as weight + 1 */
    for (i = 0; i < $whole; i += 4, w += $outputs) {
        const $sum a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3];
        for (o = 0; o < $outputs; o++)
            sum[o] += a * (w[o] & 3) + b * ((w[o] >> 2) & 3) + c * ((w[o] >> 4) & 3) + d * (w[o] >> 6);
    }
${rest}    for (o = 0; o < $outputs; o++) y[o] = ($y)sum[o];
}
""")
PACKED_REST = Template("""\
    for (i = $whole; i < $inputs; i++)
        for (o = 0; o < $outputs; o++) sum[o] += ($sum)x[i] * ((w[o] >> (2 * (i & 3))) & 3);
""")
PLAIN = Template("""\
static inline void ${f}(const $x *x, $y *y)
{
    const $weight *w = ${name}_weights;
    $sum sum[$outputs];
    int i, o;
    for (o = 0; o < $outputs; o++) sum[o] = ${name}_bias[o];
    for (i = 0; i < $inputs; i++, w += $outputs) {
        const $sum a = x[i];
        for (o = 0; o < $outputs; o++) sum[o] += a * w[o];
    }
    for (o = 0; o < $outputs; o++) y[o] = ($y)sum[o];
}
""")
DEPTHWISE = Template("""\
static inline void ${f}(const $x *x, $y *y)
{
    $sum sum[$outputs];
    int i, o;
    for (o = 0; o < $outputs; o++) sum[o] = ${name}_bias[o];
    for (i = 0; i < $inputs; i++)
        for (o = 0; o < $outputs; o++) sum[o] += ($sum)x[i * $channels + o / $multiplier] * ($w);
    for (o = 0; o < $outputs; o++) y[o] = ($y)sum[o];
}
""")
WINDOWS = Template("""\
static inline void ${f}(const $x *x, $y *y)
{
    $x window[$inputs];
    int r, c, i, j;
    for (r = 0; r < $out_rows; r++)
        for (c = 0; c < $out_columns; c++) {
            for (i = 0; i < $rows; i++)
                for (j = 0; j < $columns; j++) {
                    const int row = r * $step_rows + i$up, column = c * $step_columns + j$left;
                    $x *at = window + (i * $columns + j) * $channels;
${fill}                }
            ${f}_window(window, y + (r * $out_columns + c) * $outputs);
        }
}
""")
_COPY = "memcpy(at, x + (row * $in_columns + column) * $channels, $channels * sizeof *at);\n"
INSIDE = Template(f"                    {_COPY}")
AT_BORDER = Template(f"""\
                    if (row < 0 || row >= $in_rows || column < 0 || column >= $in_columns)
                        memset(at, 0, $channels * sizeof *at);
                    else
                        {_COPY}""")
MAXPOOL = Template("""\
static inline void ${f}(const $x *x, $y *y)
{
    int r, c, i, j, k;
    for (r = 0; r < $out_rows; r++)
        for (c = 0; c < $out_columns; c++, y += $channels)
            for (k = 0; k < $channels; k++) {
                $x best = 0;  /* not in y, whose type may be too narrow for all but the largest */
                int found = 0;
                for (i = 0; i < $rows; i++)
                    for (j = 0; j < $columns; j++) {
                        const int row = r * $step_rows + i$up, column = c * $step_columns + j$left;
                        $x at;
                        if (row < 0 || row >= $in_rows || column < 0 || column >= $in_columns) continue;
                        at = x[(row * $in_columns + column) * $channels + k];
                        if (!found || at > best) best = at;
                        found = 1;
                    }
                y[k] = ($y)best;
            }
}
""")
PAD = Template("""\
static inline void ${f}(const $x *x, $y *y)
{
    int r;
    memset(y, 0, $size * sizeof *y);
    for (r = 0; r < $in_rows; r++)
        memcpy(y + ((r + $top) * $out_columns + $begin) * $channels, x + r * $row, $row * sizeof *y);
}
""")
ELEMENTS = Template("""\
static inline void ${f}($arguments, $y *y)
{
    int i;
    for (i = 0; i < $size; i++) $body
}
""")
ARGMAX = Template("""\
static inline void ${f}(const $x *x, $y *y)
{
    int i, best = 0;
    for (i = 1; i < $inputs; i++)
        if (x[i] > x[best]) best = i;
    y[0] = ($y)best;
}
""")
CONCAT = Template("""\
static inline void ${f}($arguments, $y *y)
{
    int i, k;
    for (i = 0; i < $pixels; i++) {
${copies}    }
}
""")
CONCAT_ONE = Template("""\
        for (k = 0; k < $channels; k++) *y++ = ($y)($x * $scale);
""")
QUANTIZE = Template("""{
        $wide v = x[i];
${round}        y[i] = ($y)(v < $low ? $low : v > $high ? $high : v);
    }""")
DIVIDE = Template("""{
        const $wide v = x[i], rest = (v % $divisor + $divisor) % $divisor;
        $wide mean = (v - rest) / $divisor;  /* then to the nearest, of two equally near to the even one */
        if (2 * rest > $divisor || (2 * rest == $divisor && mean % 2)) mean++;
        y[i] = ($y)(mean < $low ? $low : mean > $high ? $high : mean);
    }""")
ROUND = Template("""\
        v += $half + (${floor_shift}(v, $shift) & 1);  /* to the nearest, of two equally near to the even one */
        v = ${floor_shift}(v, $shift);
""")
FLOOR_SHIFT = Template("""\
static inline $wide ${name}($wide v, int by)  /* v / 2^by, rounded down */
{
    return v < 0 ? ~(~v >> by) : v >> by;
}
""")
