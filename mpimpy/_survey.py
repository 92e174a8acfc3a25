"""Engines survey parts of operands, so that a part can be encoded with the scales of the whole."""

from typing import Any

from ._linear import parts_of
from ._writing import WritingEngine, choose_backend, real_shape
from .arrays import detach, namespace
from .checks import as_int_pair, fail
from .config._hints import hinted_call
from .noise import MAX_ROW
from .operands import edge
from .operands.place import as_shape, check_same_operand, inside
from .operands.survey import Survey, SurveyOf, measure_part

__all__ = ["SurveyingEngine"]


class SurveyingEngine(WritingEngine):
    """Engine that measures parts of operands."""

    input_size: tuple[int, int] | None

    @hinted_call
    def survey_weights(
        self, part: Any, *, shape: tuple[int, int], origin: tuple[int, int] = (0, 0), after: Survey | None = None
    ) -> Survey:
        """Measure a part of a matrix of weights, for the scales of the whole.

        Parameters
        ----------
        part : array, shape (A, C)
            Any rectangle of the matrix; of complex weights some rows, with all columns.
        shape : (int, int)
            (K, N) of the whole matrix.
        origin : (int, int)
            Row and column of ``part[0, 0]`` in it.
        after : Survey, optional
            Survey of the round before, of all parts; a double exponent has three rounds. See `mpimpy.Survey`.

        Returns
        -------
        Survey

        Raises
        ------
        TypeError, ValueError
            If the part is not numeric and finite, or does not lie inside the whole; if `after` is of another operand,
            has not measured blocks that the part touches, or was the last round.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine, Format
        >>> engine, w = Engine(weights=Format(granularity="per-col"), seed=1), np.eye(128)
        >>> parts = [engine.survey_weights(w[k : k + 64], shape=(128, 128), origin=(k, 0)) for k in (0, 64)]
        >>> engine.program(w[64:], origin=(64, 0), survey=parts[0] | parts[1]).shape
        (64, 128)
        """
        operand = self._weights(detach(part))
        origin, shape = as_int_pair("origin", origin, 0, MAX_ROW), as_shape(shape)
        inside(operand.dims[1:], origin, shape)
        of = SurveyOf("weights", real_shape(operand, shape), self.config.weights, self.config.tile.rows)
        parts = parts_of(namespace(operand.array), operand.array)
        places = [(origin[0], origin[1] + index * shape[1]) for index in range(len(parts))]
        return self._measure(of, parts, places, after)

    @hinted_call
    def survey_inputs(
        self, part: Any, *, shape: tuple[int, int], origin: tuple[int, int] = (0, 0), after: Survey | None = None
    ) -> Survey:
        """Measure a part of a matrix of inputs, for the scales of the whole.

        Parameters
        ----------
        part : array, shape (A, C) or (C,)
            Any rectangle of the matrix. Imaginary parts of complex inputs count as M further rows, from row M on.
        shape : (int, int)
            (M, K) of the whole matrix.
        origin : (int, int)
            Row and column of the part's first element in it.
        after : Survey, optional
            As for `survey_weights`.

        Returns
        -------
        Survey

        Raises
        ------
        TypeError, ValueError
            As `survey_weights`; in row mode, whose codes `SlicedData` makes.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine, Format
        >>> engine, x = Engine(inputs=Format(granularity="per-row"), seed=1), np.ones((5, 128))
        >>> parts = [engine.survey_inputs(x[:, k : k + 64], shape=(5, 128), origin=(0, k)) for k in (0, 64)]
        >>> W = engine.program(np.eye(128)[64:], origin=(64, 0))
        >>> W.read(x[:, 64:], read=0, survey=parts[0] | parts[1]).shape
        (5, 128)
        """
        if self.input_size is not None:
            fail(ValueError, "in row mode SlicedData encodes inputs, and takes no survey: use an engine without it")
        operand = edge.accept("x", detach(part), complex_too=True)
        if len(operand.shape) not in (1, 2):
            fail(ValueError, f"x has shape {operand.shape}: a survey is of one matrix of inputs, (M, K)")
        origin, shape = as_int_pair("origin", origin, 0, MAX_ROW), as_shape(shape)
        inside(operand.dims[1:], origin, shape)
        xp = namespace(operand.array)
        parts = [xp.reshape(each, operand.dims[1:]) for each in parts_of(xp, operand.array)]
        whole = (len(parts) * shape[0], shape[1])
        of = SurveyOf("inputs", whole, self.config.inputs, self.config.tile.rows)
        places = [(origin[0] + index * shape[0], origin[1]) for index in range(len(parts))]
        return self._measure(of, parts, places, after)

    def _measure(self, of: SurveyOf, parts: list[Any], places: list[tuple[int, int]], after: Survey | None) -> Survey:
        # of the real parts and, of complex numbers, the imaginary ones
        if after is not None:
            check_same_operand("after", after, of)
            if after.settled:
                fail(ValueError, f"after= is of round {after.round}, the last one of {of.format}: it has all there is")
        backend, found = choose_backend(self, parts[0]), None
        for part, (top, left) in zip(parts, places, strict=True):
            rectangle = (top, top + part.shape[0]), (left, left + part.shape[1])
            if after is not None and 0 not in part.shape:
                after._check_covers(rectangle, "this part")
            survey = measure_part(backend, of, part, (top, left), after)
            found = survey if found is None else found | survey
        assert found is not None
        return found
