# SPDX-License-Identifier: BSD-3-Clause


class OwnSetOutputMixin:
    """`set_output` for transformers whose output scikit-learn must not wrap.

    Its own wrapper would turn the plan of activations between two steps into a DataFrame.
    """

    def set_output(self, *, transform=None):
        """Set the output container of the pooled matrix.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            The container; None leaves it as it is.

        Returns
        -------
        self : estimator instance
        """
        if transform is not None:
            if not hasattr(self, "_sklearn_output_config"):
                self._sklearn_output_config = {}
            self._sklearn_output_config["transform"] = transform
        return self
