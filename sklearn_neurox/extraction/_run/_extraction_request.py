# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass
from functools import cached_property

from sklearn_neurox.extraction._model._available_blocks import list_blocks
from sklearn_neurox.extraction._model._blocks import choose_blocks
from sklearn_neurox.extraction._model._config import choose_stacks
from sklearn_neurox.extraction._model._fingerprint import leave_behind
from sklearn_neurox.extraction._model._loading import DetachedModel, ModelSpec, load_config


@dataclass(frozen=True)
class ExtractionRequest:
    """The parameters of an `ActivationExtractor`, frozen for one call."""

    spec: ModelSpec
    component: tuple  # of str
    stack: str | None
    layers: object  # int, list of int or None, as given
    add_special_tokens: bool | str
    prefix: str | None
    special_tokens: bool
    split_special_tokens: bool
    missing: str
    overflow: str
    max_length: int | None
    max_batch_tokens: int
    n_jobs: int | None
    verbose: int
    store: object = None  # the ShardStore of the cache, if there is one

    @cached_property
    def blocks(self):
        """All blocks of the components, and those of the layers, in the order of the matrix.

        Resolved on first use, as a warm cache knows the blocks without the config of the model.
        """
        config, model = load_config(self.spec), self.spec.name
        stacks = choose_stacks(config, self.stack, model=model)
        available = list_blocks(self.spec, config, self.component, stacks)
        return available, choose_blocks(available, self.layers, model=model)

    def __getstate__(self):
        # The state of ModelSpec would lose the digests by which a cache finds a live model, and a
        # live tokenizer, which may have to tokenize again.
        model = self.spec.model
        if self.spec.is_live and not isinstance(model, DetachedModel):
            model = leave_behind(self.spec, with_digests=self.store is not None)
        return {**self.__dict__, "spec": {**self.spec.__dict__, "model": model}}

    def __setstate__(self, state):
        self.__dict__.update(state, spec=ModelSpec(**state["spec"]))
