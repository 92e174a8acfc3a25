"""Products below the functions of torch: operators that are called directly, by torch.jit or by an exported graph."""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode, _pop_mode, _push_mode

from ..arrays import are_own_operations

__all__ = ["Below"]

_SUMS = r"mm|addmm|bmm|baddbmm|addbmm|mv|addmv|dot|vdot|vecdot|matmul|linear|einsum|tensordot|inner|trilinear|bilinear"
_SUMS += r"|conv(?:olution\w*|_\w+|\dd\w*)?|lstm|gru|rnn\w*|cdist|attention\w*|encoder_layer_fwd"
_SUMS += r"|matrix_power|matrix_exp|multi_dot|hspmm|smm|sspaddmm|cov|corrcoef|affine_grid_generator"
_PRODUCT = re.compile(rf"(?:^|_)(?:{_SUMS})(?:_|$)")
_QUANTISED = re.compile(r"linear|conv|matmul|lstm|gru|rnn|bmm|mm$")
_NONE = re.compile(
    r"backward|pack|flatten|reorder|quantize_weight|choose_qparams|thnn_fused|_out$"
)  # what multiplies nothing, or in a backward pass
_SOLVER = re.compile(
    r"_?linalg_(?!vector_norm|matrix_norm|norm|cross|check_errors|diagonal|vander|_powsum)(\w+?)(?:_ex)?$"
)
_OLD_SOLVERS = re.compile(r"cholesky\w*|ormqr|orgqr|geqrf|triangular_solve|lu_\w+|addr")


@functools.cache
def _name_of(function: Any) -> tuple[str, bool] | None:
    # the name of an operator that multiplies, and whether crossbars could do its sums of products; None for others
    space, _, name = function._schema.name.partition("::")
    base = name.rstrip("_")
    if _NONE.search(base):
        return None
    if space in ("quantized", "onednn", "mkldnn") and _QUANTISED.search(base):
        return f"torch.ops.{space}.{name}", True
    if space != "aten":
        return None
    if _PRODUCT.search(base):
        return f"torch.ops.aten.{name}", True
    if found := _SOLVER.match(base):
        return f"torch.linalg.{found[1]}", False
    return (f"torch.{name}", False) if _OLD_SOLVERS.fullmatch(base) else None


def _weighted_bag(function: Any, args: Any, options: dict[str, Any]) -> bool:
    # an embedding bag that multiplies rows by weights; without these it looks rows up
    if not function._schema.name.startswith("aten::_embedding_bag"):
        return False
    names = [each.name for each in function._schema.arguments]
    at = names.index("per_sample_weights") if "per_sample_weights" in names else len(args)
    return (args[at] if at < len(args) else options.get("per_sample_weights")) is not None


class Below(TorchDispatchMode):
    """Tells of operators that multiply, but for those of backward passes.

    Parameters
    ----------
    refuse : function of str
        Of the name of a product that crossbars would have done: it raises, or lists it.
    note : function of str
        Of the name of a product that is digital: of integers, or of what is no sum of products.
    """

    def __init__(self, refuse: Callable[[str], None], note: Callable[[str], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._refuse, self._note = refuse, note
        self._away = 0

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Leave operators alone in a block; where no other mode is in the way, products there do not see this one."""
        top = _get_current_dispatch_mode() is self
        if top:
            _pop_mode()
        self._away += 1
        try:
            yield
        finally:
            self._away -= 1
            if top:
                _push_mode(self)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = {} if kwargs is None else kwargs
        if not self._away and not are_own_operations() and torch._C._current_graph_task_id() == -1:
            if _weighted_bag(function, args, options):
                self._refuse("torch.nn.functional.embedding_bag with per_sample_weights")
            elif (found := _name_of(function)) is not None:
                self._tell(*found, args)
        return function(*args, **options)

    def _tell(self, name: str, sums: bool, args: Any) -> None:
        kinds = {each.dtype for each in pytree.tree_leaves(args) if isinstance(each, torch.Tensor)}
        exact = [kind for kind in kinds if not (kind.is_floating_point or kind.is_complex)]
        if not sums:
            self._note(name)
        elif exact and len(exact) == len(kinds):
            self._note(f"{name} of {exact[0]}")  # indices and counts are exact
        else:
            self._refuse(name)
