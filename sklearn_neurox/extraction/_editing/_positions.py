# SPDX-License-Identifier: BSD-3-Clause
"""The tokens at which a model is changed: all, all but the first, or generated ones."""

import torch


class Positions:
    """Chooses tokens of what a model reads.

    ``slots(reading)`` returns an integer tensor of shape (n_texts, n_tokens): -1 where a token
    stays as it is, and elsewhere a number that a change may use, such as the row of a table.
    """

    needs_generate = False

    def slots(self, reading):
        """Return the number of each token, -1 if it is not chosen."""
        raise NotImplementedError

    def finish(self, *, has_run):
        """Report tokens that were to be changed, but were never read."""


class NotFirst(Positions):
    """All tokens but the first of each input."""

    def slots(self, reading):
        """Return 0 at all tokens but the first, and -1 there and at padding."""
        past, n_tokens = _known_past(reading), reading.shape[1]
        places = torch.arange(past, past + n_tokens, device=reading.device)
        first = 0
        if reading.mask is not None and reading.mask.shape[1] == past + n_tokens:
            first = reading.mask.int().argmax(dim=1, keepdim=True)
        chosen = reading.own_mask() & (places != first)
        return chosen.long() - 1


class Generated(Positions):
    """The tokens that ``model.generate`` has generated, when the model reads them."""

    needs_generate = True

    def __init__(self):
        self.has_generated = False

    def slots(self, reading):
        """Return 0 at generated tokens, and -1 elsewhere."""
        slots = torch.full(reading.shape, -1, device=reading.device)
        if reading.generation is None:
            return slots
        past = _known_past(reading)
        self.has_generated = True
        first = max(reading.generation.prompt_width(reading) - past, 0)
        slots[:, first:] = 0
        return slots

    def finish(self, *, has_run):
        """Raise an error if the model ran, but not to generate."""
        if has_run and not self.has_generated:
            raise ValueError(
                "With positions='generated', only tokens that the method generate of the model has "
                "made are changed, but it was not called in the context, so nothing was changed. "
                "Call model.generate(...) inside, or choose other positions."
            )


def _known_past(reading):
    if reading.past is None:
        raise ValueError(
            "This model reads a text piece by piece with a cache that does not tell how many "
            "tokens it holds, so their positions are not known. Pass use_cache=False."
        )
    return reading.past


def arranged(slots, state, traits, site):
    """Bring the numbers of tokens into the shape of a state, without its last axis.

    Raises
    ------
    ValueError
        If the state does not have one row per token.
    """
    slots = slots.to(state.device)
    if site.time_first and state.ndim > 2:
        slots = slots.T
    if traits.pads_itself and state.ndim > 1:
        width = state.shape[1] if state.ndim > 2 else state.shape[0] // max(len(slots), 1)
        slots = torch.nn.functional.pad(slots, (0, max(width - slots.shape[1], 0)), value=-1)
    if state.ndim == 2 and slots.shape != state.shape[:-1]:
        slots = slots.reshape(-1)
    if slots.shape == state.shape[:-1]:
        return slots
    raise ValueError(
        f"A state of shape {tuple(state.shape)} does not have one row for each of the tokens, "
        f"{tuple(slots.shape)}, so it cannot be changed at some of them. Use positions='all'."
    )
