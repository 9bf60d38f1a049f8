"""How a cost grows with a size: flat, logarithmic, linear, or worse."""

import math

UNCLEAR = 0.5  # mean relative error: the points lie on no curve of ours
FLAT = 1.5  # within this factor a cost is called flat, whatever its course
LINEAR_END = 1.25  # a higher power between the last two sizes is no straight line
SMALLER = {"MB": ("kB", 1000), "kB": ("octets", 1000), "KiB": ("octets", 1024),
           "ms": ("us", 1000), "us": ("ns", 1000)}
MODELS = (  # the simpler one first
    ("logarithmic", lambda n: math.log10(n)),
    ("linear", lambda n: n),
    ("worse than linear", lambda n: n * n),
)


def fit(sizes, costs, shape):
    """a + b * shape(n), both at least 0, with the least squares of relative errors: a, b and the
    mean relative error."""
    weights = [1 / (c * c) for c in costs]
    xs = [shape(n) for n in sizes]
    total = sum(weights)
    mx = sum(w * x for w, x in zip(weights, xs)) / total
    my = sum(w * c for w, c in zip(weights, costs)) / total
    var = sum(w * (x - mx) ** 2 for w, x in zip(weights, xs))
    cov = sum(w * (x - mx) * (c - my) for w, x, c in zip(weights, xs, costs))
    b = max(0.0, cov / var)
    a = my - b * mx
    if a < 0:
        a = 0.0
        b = sum(w * x * c for w, x, c in zip(weights, xs, costs)) / sum(
            w * x * x for w, x in zip(weights, xs))
    errors = [((a + b * x) / c - 1) ** 2 for x, c in zip(xs, costs)]
    return a, b, math.sqrt(sum(errors) / len(errors))


def end_exponent(sizes, costs):
    """p of n^p between the last two sizes: 1 is linear."""
    return math.log(costs[-1] / costs[-2]) / math.log(sizes[-1] / sizes[-2])


def amount(value, unit):
    """Three digits that count, in a unit that has them before the point."""
    while 0 < value < 0.1 and unit in SMALLER:
        unit, factor = SMALLER[unit]
        value *= factor
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:.{min(digits, 4)}f} {unit}"


def judge(sizes, costs, unit):
    """In words, with the slope. What costs less at a greater size is taken to cost no more at a
    smaller one: what was measured beyond that was the machine's."""
    costs = [min(costs[i:]) for i in range(len(costs))]
    least, most = min(costs), max(costs)
    if least <= 0:
        return "not to be had"  # a sanitizer's malloc does not say what is in use
    if most / least <= FLAT:
        return f"flat: {amount(least, unit)} to {amount(most, unit)}"
    scaled = [n / sizes[0] for n in sizes]  # so that a logarithm begins with the first cost
    fits = {name: fit(scaled, costs, shape) for name, shape in MODELS}
    best = min(error for _, _, error in fits.values())
    name = next(name for name, (_, _, error) in fits.items() if error <= 1.25 * best + 0.02)
    if name != "logarithmic":  # the end tells a straight line from a bent one
        name = MODELS[2 if end_exponent(sizes, costs) > LINEAR_END else 1][0]
    _, slope, error = fits[name]
    slope = slope / sizes[0] if name == "linear" else slope
    if error > UNCLEAR:
        return (f"of no clear course: {amount(least, unit)} to {amount(most, unit)}, at the end as "
                f"the power {end_exponent(sizes, costs):.1f}")
    told = {
        "logarithmic": f"{amount(slope, unit)} for each ten times as many",
        "linear": f"{amount(slope, unit)} for each one",
        "worse than linear": f"at the end as the power {end_exponent(sizes, costs):.1f}",
    }[name]
    return f"{name}: {told} (fits within {100 * error:.0f} %)"
