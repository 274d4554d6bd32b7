# SPDX-License-Identifier: BSD-3-Clause


class OwnSetOutputMixin:
    """Adds `set_output` to transformers whose output scikit-learn must not wrap.

    scikit-learn's wrapper would turn the `Activations` between two pipeline steps into a DataFrame.
    """

    def __init_subclass__(cls, **options):
        super().__init_subclass__(auto_wrap_output_keys=None, **options)

    def set_output(self, *, transform=None):
        """Set the output container of the pooled matrix.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            The container; None keeps the current one.

        Returns
        -------
        self : estimator instance
        """
        if transform is not None:
            if not hasattr(self, "_sklearn_output_config"):
                self._sklearn_output_config = {}
            self._sklearn_output_config["transform"] = transform
        return self
