# SPDX-License-Identifier: BSD-3-Clause
"""Beam search for the formula whose words overlap most with those on which a neuron is active."""

from dataclasses import dataclass

import numpy as np

_OPERATORS = ("OR", "AND", "AND NOT")


@dataclass
class Formula:
    """Concepts joined by operators from left to right, and the words for which it holds.

    ``steps`` are pairs of an operator and the number of a concept; the first operator is ignored.
    ``hits`` is the number of active words for which it holds.
    """

    steps: tuple
    mask: np.ndarray
    hits: int
    iou: float
    score: float

    def text(self, names):
        """Write the formula, with parentheses where the operator changes."""
        text, before = names[self.steps[0][1]], None
        for operator, concept in self.steps[1:]:
            kind = operator.partition(" ")[0]
            text = f"({text})" if before not in (None, kind) else text
            text, before = f"{text} {operator} {names[concept]}", kind
        return text


def find_formulas(active, concepts, *, max_length, beam_width, length_penalty):
    """Search for the best formula; return it and the best single concept, or two None.

    Parameters
    ----------
    active : ndarray of shape (n_words,), dtype=bool

    concepts : Concepts

    max_length, beam_width : int

    length_penalty : float
        Multiplies the IoU for each concept after the first, to compare formulas.
    """
    search = _Search(active, concepts, length_penalty)
    beam = search.singles(beam_width)
    if not beam:
        return None, None
    single = best = beam[0]
    for _ in range(max_length - 1):
        beam = search.extensions(beam, beam_width)
        if not beam:
            break
        # Of equal formulas, the shorter one is kept.
        best = beam[0] if beam[0].score > best.score else best
    return best, single


class _Search:
    def __init__(self, active, concepts, length_penalty):
        self.active, self.concepts, self.penalty = active, concepts, length_penalty
        self.n_active = int(active.sum())
        self.hits = concepts.members @ active.astype(np.int32)
        self.known = set()

    def singles(self, limit):
        """Return the best single concepts that overlap with the active words."""
        scores = self.hits / (self.n_active + self.concepts.counts - self.hits)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] > 0]
        return self._distinct((((), int(concept), "", None) for concept in order), limit)

    def extensions(self, formulas, limit):
        """Return the best formulas that are one concept longer."""
        masks = np.stack([formula.mask for formula in formulas], axis=1)
        shared = self.concepts.members @ masks.astype(np.int32)
        shared_hits = self.concepts.members @ (masks & self.active[:, None]).astype(np.int32)
        sizes, counts = masks.sum(axis=0), self.concepts.counts[:, None]
        own_hits = np.array([formula.hits for formula in formulas])
        # In the order of the operators.
        all_sizes = np.stack([sizes + counts - shared, shared, sizes - shared])
        all_hits = np.stack(
            [own_hits + self.hits[:, None] - shared_hits, shared_hits, own_hits - shared_hits]
        )
        scores = all_hits / (self.n_active + all_sizes - all_hits)
        # What equals the formula or the concept alone is not longer for a reason.
        inside, covers, apart = shared == counts, shared == sizes, shared == 0
        scores[0][inside | covers] = scores[1][inside | covers] = scores[2][apart] = 0
        order = np.argsort(-scores, axis=None, kind="stable")
        order = order[scores.ravel()[order] > 0]
        places = zip(*np.unravel_index(order, scores.shape), strict=True)
        found = (
            (formulas[number].steps, int(concept), _OPERATORS[operator], formulas[number].mask)
            for operator, concept, number in places
        )
        return self._distinct(found, limit)

    def _distinct(self, candidates, limit):
        """Make formulas of the first candidates that hold for other words than any before."""
        found = []
        for steps, concept, operator, mask in candidates:
            formula = self._formula((*steps, (operator, concept)), operator, concept, mask)
            key = formula.mask.tobytes()
            if key not in self.known:
                self.known.add(key)
                found.append(formula)
            if len(found) == limit:
                break
        return found

    def _formula(self, steps, operator, concept, mask):
        members = self.concepts.members
        own = np.zeros(len(self.active), dtype=bool)
        own[members.indices[members.indptr[concept] : members.indptr[concept + 1]]] = True
        if operator:
            own = {"OR": mask | own, "AND": mask & own, "AND NOT": mask & ~own}[operator]
        hits = int((own & self.active).sum())
        iou = hits / (self.n_active + int(own.sum()) - hits)
        return Formula(steps, own, hits, iou, iou * self.penalty ** (len(steps) - 1))
