# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass, field, replace

import numpy as np

from sklearn_neurox.extraction._run._row_parts import Parts
from sklearn_neurox.extraction._sae._sparse_rows import SparseRows
from sklearn_neurox.utils._ragged import pointers
from sklearn_neurox.utils._torch import resolve_device


@dataclass(frozen=True)
class EncodedSource:
    """The codes of a source's tokens under a sparse autoencoder."""

    source: object  # of one block
    sae: object  # FolderSae, ArraySae or ModuleSae
    device: str
    feature_names: np.ndarray = field(repr=False)

    is_sparse = True

    @property
    def spec(self):
        """The model that is read, if one is."""
        return getattr(self.source, "spec", None)

    @property
    def block_widths(self):
        """The number of features."""
        return (len(self.feature_names),)

    def take(self, which):
        """Return a source with only the given inputs."""
        return replace(self, source=self.source.take(which))

    def pool_sparse(self, sequence, position, ptr, strategy):
        """Encode the tokens of rows and pool their codes.

        The arguments are those of `Parts`; rows without tokens stay empty.

        Returns
        -------
        H : csr_matrix of shape (n_rows, n_features), dtype=float32
        """
        sizes = np.diff(ptr)
        rows = np.repeat(np.arange(len(sizes)), sizes)
        if strategy in ("first", "last"):
            rows = np.flatnonzero(sizes)
            chosen = ptr[rows] if strategy == "first" else ptr[rows + 1] - 1
            sequence, position = sequence[chosen], position[chosen]
        # A token that several rows own is encoded once.
        order = np.lexsort((position, sequence))
        sequence, position, rows = sequence[order], position[order], rows[order]
        is_new = (np.diff(sequence, prepend=-1) != 0) | (np.diff(position, prepend=-1) != 0)
        starts = np.flatnonzero(is_new)
        owner_ptr = np.append(starts, len(rows))
        (d_in,) = self.source.block_widths
        device = resolve_device(self.device, caller="SparseAutoencoderEncoder")
        encoder = self.sae.encoder(d_in, device)
        out = SparseRows(encoder, d_in, rows, owner_ptr, sizes, strategy)
        one_each = pointers(np.ones(len(starts), dtype=np.int64))
        self.source.pool(Parts(sequence[starts], position[starts], one_each, "first"), out)
        return out.matrix()
