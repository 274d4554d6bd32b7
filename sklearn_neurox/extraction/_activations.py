# SPDX-License-Identifier: BSD-3-Clause
import copy
import numbers
import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, csr_matrix

from sklearn_neurox.extraction._model._memory_identity import identify_for_memory
from sklearn_neurox.extraction._model._obstacle import check_leaves_process
from sklearn_neurox.extraction._run._array_source import (
    ArraySource,
    check_arrays,
    check_fits_float32,
)
from sklearn_neurox.extraction._run._combining import (
    as_combinations,
    combine,
    combine_sparse,
    n_parts,
)
from sklearn_neurox.extraction._run._output_matrix import filled_matrix
from sklearn_neurox.extraction._run._row_parts import Parts
from sklearn_neurox.extraction._run._sparse_output import check_sparse, in_configured_form
from sklearn_neurox.utils._names import pair_names
from sklearn_neurox.utils._pickling import pickled_for
from sklearn_neurox.utils._ragged import pointers, ranges
from sklearn_neurox.utils._row_blocks import row_blocks


class Activations:
    """Subword activations of words or texts, computed only when they are pooled.

    `ActivationExtractor.transform` returns them: the rows are validated, tokenized and aligned, so
    any errors in them have surfaced, but the model has not run. `SubwordAggregator` runs it and
    writes the activations batch by batch into its matrix. Activations have one entry per row and
    can be sliced like an array, so `~sklearn.model_selection.cross_validate` can split them in a
    pipeline that starts with a `SubwordAggregator`.

    To use activations computed elsewhere, create them with `from_arrays`.

    Parameters
    ----------
    source : ModelSource, CachedSource or ArraySource
        The source of the values. `ActivationExtractor` and `from_arrays` set all parameters.

    sequence, position : ndarray of shape (n_total_subwords,)
        For each subword, row after row: the model input it is in, and its position there.

    ptr : ndarray of shape (n_samples + 1,)
        Row i has the subwords ``ptr[i]:ptr[i + 1]``.

    first_token : ndarray of shape (n_samples, 2) or str
        The model input and the position of each row's ``[CLS]``, or why there is none.

    missing : {"zero", "nan"}
        The value that fills rows without subwords.

    index : Index or None
        Row labels for pandas output.

    pairs : ndarray of shape (n_samples, 2) or None, default=None
        The two spans of each pair, if the rows are pairs; the parameters above then describe the
        distinct spans.

    Attributes
    ----------
    shape : tuple
        ``(n_samples,)``.

    n_subwords : ndarray of shape (n_samples,) or (n_samples, 2)
        The number of subwords per row, or of both spans of a pair; 0 if the tokenizer dropped all
        characters.

    are_pairs : bool
        Whether the rows are pairs of spans, see `~sklearn_neurox.words.pair_frame`.

    is_sparse : bool
        Whether the activations are sparse features, from a `SparseAutoencoderEncoder`.

    See Also
    --------
    ActivationExtractor : Extracts activations from a model.
    SubwordAggregator : Pools activations into a matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.extraction import Activations, SubwordAggregator
    >>> stored = Activations.from_arrays([np.array([[1.0, 2.0], [3.0, 0.0]]), np.ones((1, 2))])
    >>> stored
    <Activations of 2 rows, 3 subwords, 2 neurons>
    >>> SubwordAggregator("mean").fit_transform(stored)
    array([[2., 1.],
           [1., 1.]], dtype=float32)
    """

    def __init__(self, source, sequence, position, ptr, *, first_token, missing, index, pairs=None):
        self._source = source
        self._sequence = sequence
        self._position = position
        self._ptr = ptr
        self._first_token = first_token  # (sequence, position) of [CLS], or a reason there is none
        self._missing = missing
        self._index = index
        self._pairs = pairs
        self._noun = "rows"

    @classmethod
    def from_arrays(
        cls,
        arrays: Sequence[ArrayLike],
        *,
        feature_names: ArrayLike | None = None,
        index: pd.Index | ArrayLike | None = None,
    ) -> "Activations":
        """Create activations from arrays that were computed elsewhere.

        Parameters
        ----------
        arrays : list of array-like of shape (n_subwords, n_neurons)
            The subword activations of each row, as arrays or torch tensors. A row without subwords
            becomes a row of zeros.

        feature_names : array-like of str of shape (n_neurons,), default=None
            Names of the neurons, such as ``"hidden.3.127"``; None generates ``x0``, ``x1``, ...

        index : Index or array-like of shape (n_samples,), default=None
            Row labels of the DataFrame, for pandas output.

        Returns
        -------
        activations : Activations

        Raises
        ------
        ValueError
            If the arrays are not two-dimensional or differ in their number of neurons, if the
            number of names or labels does not match, or if float32, in which activations are
            pooled, cannot hold a value or would turn a whole neuron into zeros.
        """
        checked = check_arrays(arrays)
        if feature_names is None:
            feature_names = [f"x{i}" for i in range(checked[0].shape[1])]
        names = np.asarray(feature_names, dtype=object)
        if names.shape != (checked[0].shape[1],):
            raise ValueError(
                f"feature_names must name {checked[0].shape[1]} neurons, got shape {names.shape}."
            )
        labels = None if index is None else pd.Index(index)
        if labels is not None and len(labels) != len(checked):
            raise ValueError(f"index has {len(labels)} labels for {len(checked)} arrays.")
        counts = np.array([len(array) for array in checked], dtype=np.int64)
        ptr = pointers(counts)
        values = np.concatenate(checked)
        check_fits_float32(values, ptr, names)
        return cls(
            ArraySource(values, ptr, names),
            np.repeat(np.arange(len(counts)), counts),
            np.arange(ptr[-1]) - np.repeat(ptr[:-1], counts),
            ptr,
            first_token="stored activations do not record which subword is special",
            missing="zero",
            index=labels,
        )

    @property
    def shape(self) -> tuple[int]:
        """The number of rows, in a tuple."""
        return (len(self),)

    @property
    def n_subwords(self) -> np.ndarray:
        """The number of subwords per row, or of both spans of a pair."""
        counts = np.diff(self._ptr)
        return counts[self._pairs] if self.are_pairs else counts

    @property
    def are_pairs(self) -> bool:
        """Whether the rows are pairs of spans, see `~sklearn_neurox.words.pair_frame`."""
        return self._pairs is not None

    @property
    def is_sparse(self) -> bool:
        """Whether the activations are sparse features, from a `SparseAutoencoderEncoder`."""
        return getattr(self._source, "is_sparse", False)

    def __len__(self):
        return len(self._pairs) if self.are_pairs else len(self._ptr) - 1

    def __getstate__(self):
        spec, purpose = getattr(self._source, "spec", None), pickled_for()
        if spec is not None and purpose == "worker":
            check_leaves_process(spec)
        if spec is None or purpose != "hash":
            return self.__dict__
        # joblib.Memory keeps what is computed from these rows under the hash of this state.
        return {**self.__dict__, "_identity": identify_for_memory(spec)}

    def __repr__(self):
        n_neurons = sum(self._source.block_widths)
        return (
            f"<Activations of {len(self)} rows, {len(self._sequence)} subwords, "
            f"{n_neurons} neurons>"
        )

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Activations cannot become an array: rows differ in their number of subwords, and "
            "nothing is computed yet. Put a SubwordAggregator after the ActivationExtractor: "
            "make_pipeline(ActivationExtractor(...), SubwordAggregator('last'))."
        )

    def __iter__(self):
        raise TypeError("Activations cannot be iterated; pool them with a SubwordAggregator.")

    def __getitem__(self, key) -> "Activations":
        if isinstance(key, tuple):
            if len(key) != 2 or key[1] is not Ellipsis:
                raise IndexError("Activations have one axis: index them by rows only.")
            key = key[0]
        if isinstance(key, numbers.Integral):
            key = [key]
        if not isinstance(key, slice):
            key = np.asarray(key)
            # NumPy makes an empty list an array of floats.
            key = key.astype(np.intp) if key.size == 0 and key.dtype.kind == "f" else key
        rows = np.arange(len(self))[key]
        if rows.ndim != 1:
            raise IndexError("Activations have one axis: index them with a flat list of rows.")
        index = None if self._index is None else self._index[rows]
        if not self.are_pairs:
            return self._take(rows, index)
        used, spans = np.unique(self._pairs[rows], return_inverse=True)
        taken = self._take(used, index)
        taken._pairs = spans.reshape(-1, 2)
        return taken

    def _take(self, rows, index):
        """Return some rows, or some spans of pairs."""
        places, ptr = ranges(self._ptr[:-1][rows], np.diff(self._ptr)[rows])
        first = self._first_token
        if not isinstance(first, str):
            first = first[rows]
        sequence = self._sequence[places]
        needed = sequence if isinstance(first, str) else np.append(sequence, first[:, 0])
        used, place = np.unique(needed, return_inverse=True)
        if not isinstance(first, str):
            first = np.stack([place[len(sequence) :], first[:, 1]], axis=1)
        return Activations(
            self._source.take(used),
            place[: len(sequence)],
            self._position[places],
            ptr,
            first_token=first,
            missing=self._missing,
            index=index,
        )

    def _tokens(self, strategy):
        """Return the tokens to pool, as `Parts` takes them."""
        if strategy != "cls":
            return self._sequence, self._position, self._ptr, strategy
        if isinstance(self._first_token, str):
            raise ValueError(
                f"SubwordAggregator('cls') cannot be used here: {self._first_token}. Use "
                "'first', 'last', 'mean' or 'max'."
            )
        return *self._first_token.T, np.arange(len(self._ptr)), "first"

    def _source_of(self, asked=None):
        """Return what pools, fills and measures, for one strategy or all that a cache keeps."""
        kept = getattr(self._source, "strategies", None)  # of a cache of pooled rows
        if kept is None:
            return self._source
        self._source.check_kept(asked)
        return self._source.of_rows(
            {name: Parts(*self._tokens(name), self._noun) for name in kept}, asked
        )

    def _by_block(self):
        """Return the activations of each block alone; fills a cache with all of them first."""
        return [self._with_source(source) for source in self._source_of().by_block()]

    def _with_source(self, source):
        other = copy.copy(self)
        other._source = source
        return other

    def get_feature_names(self) -> np.ndarray:
        """Return the names of the neurons, in the order of the matrix's columns.

        Returns
        -------
        names : ndarray of str of shape (n_neurons,)
            Of pairs, the neurons of each span.
        """
        return self._source.feature_names

    def index_like(self) -> pd.Series | None:
        """Return the row labels of the frame of words, in the form scikit-learn's containers take.

        Returns
        -------
        labels : Series or None
            An empty Series with these labels; None if the rows came without labels.
        """
        return None if self._index is None else pd.Series(index=self._index, dtype=object)

    def pool(
        self,
        strategy: str,
        *,
        dtype: str = "float32",
        memmap: str | os.PathLike | None = None,
        sparse: bool = False,
        pair: str | Sequence[str] = "concat",
    ) -> np.ndarray | csr_matrix | csr_array:
        """Compute the activations and pool them into one vector per row.

        Parameters
        ----------
        strategy : {"first", "last", "mean", "max", "cls"}
            See `SubwordAggregator`.

        dtype : {"float32", "float16"}, default="float32"
            See `SubwordAggregator`.

        memmap : str, path or None, default=None
            See `SubwordAggregator`.

        sparse : bool, default=False
            Whether to return a CSR matrix, of float32.

        pair : {"concat", "difference", "product"} or list of these, default="concat"
            See `SubwordAggregator`.

        Returns
        -------
        H : ndarray or CSR matrix of shape (n_samples, n_columns)

        Raises
        ------
        ValueError
            If ``strategy="cls"`` but the rows are words, or the model has no token that represents
            the whole text; or if ``sparse`` is True, and ``dtype`` or ``memmap`` ask for another
            matrix than CSR of float32 in memory, or NaN would fill rows without subwords.

        OverflowError
            If a value is beyond the range of float16 or, in pairs, of float32.
        """
        sequence, position, ptr, of_tokens = self._tokens(strategy)
        if sparse:
            check_sparse(np.diff(ptr) == 0, dtype, memmap, self._missing)
        if self.are_pairs:
            return self._pool_pairs(strategy, dtype, memmap, sparse, as_combinations(pair))
        if self.is_sparse:
            codes = self._source.pool_sparse(sequence, position, ptr, of_tokens)
            if sparse:
                return in_configured_form(codes)
        source = self._source_of(strategy)
        shape = (len(self), sum(source.block_widths))

        def fill(H):
            H[np.diff(ptr) == 0] = np.nan if self._missing == "nan" else 0.0
            if not self.is_sparse:
                source.pool(Parts(sequence, position, ptr, of_tokens, self._noun), H)
                return
            for block in row_blocks(H):
                filled = np.flatnonzero(np.diff(ptr)[block])
                H[block.start + filled] = codes[block].toarray()[filled]

        H = filled_matrix(shape, np.dtype(dtype), memmap, fill, self._name)
        return in_configured_form(csr_matrix(H)) if sparse else H

    def _pool_pairs(self, strategy, dtype, memmap, sparse, combinations):
        """Pool each distinct span once, and combine the vectors of both spans of each pair."""
        spans = copy.copy(self)
        spans._pairs, spans._noun = None, "spans"
        vectors = spans.pool(strategy, sparse=self.is_sparse)

        def name(column):
            return pair_names(self.get_feature_names(), combinations)[column]

        if sparse and self.is_sparse:
            return in_configured_form(combine_sparse(vectors, self._pairs, combinations, name))
        if self.is_sparse:
            vectors = vectors.toarray()
        shape = (len(self), n_parts(combinations) * vectors.shape[1])

        def fill(H):
            combine(vectors, self._pairs, combinations, H, name)

        H = filled_matrix(shape, np.dtype(dtype), memmap, fill, name)
        return in_configured_form(csr_matrix(H)) if sparse else H

    def _name(self, column):
        return self.get_feature_names()[column]
