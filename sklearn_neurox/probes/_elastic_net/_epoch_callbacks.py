# SPDX-License-Identifier: BSD-3-Clause


class EpochWatch:
    """Report every epoch to scikit-learn's callbacks, as a subtask of the fit.

    ``data`` holds ``X``, ``y`` and ``metadata``, which callbacks may ask for.
    """

    def __init__(self, estimator, context, design, targets, data):
        self.estimator = estimator
        self.context = context
        self.design = design
        self.targets = targets
        self.data = data

    def begin(self, algorithm):
        """Report the beginning of an epoch."""
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self._described(algorithm))

    def end(self, algorithm):
        """Report the end of an epoch; return whether a callback asks to stop."""
        described = self._described(algorithm)
        return self.epoch.call_on_fit_task_end(estimator=self.estimator, **described)

    def _described(self, algorithm):
        def fitted():
            coef, intercept = self.design.in_input_units(*algorithm.state())
            return self.targets.attributes(coef, intercept)

        return {**self.data, "reconstruction_attributes": fitted}
