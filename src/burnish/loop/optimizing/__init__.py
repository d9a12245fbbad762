"""The parts of the search over the whole chain: its space, limits, proxies, budget, journal and the way of a candidate."""
