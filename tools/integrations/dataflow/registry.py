"""Operators for DataFlow's pipelines: what `compile()` reads, and where they are registered.

DataFlow is never imported here. When a program imports it, before or after `tools.operators`, the operators
become subclasses of its ``OperatorABC`` and get into its ``OPERATOR_REGISTRY``, `FileStorage` becomes a
``DataFlowStorage``, and what serves language models an ``LLMServingABC``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tools.integrations.imports import after_import

OPERATORS = (
    "ClipScore",
    "EMScoreEval",
    "VideoAestheticEvaluator",
    "VideoAudioSimilarity",
    "VideoFrameFilter",
)
"""Names in `tools.operators` of what has a method ``run(storage, ...)``."""

_INPUT, _OUTPUT = "input_", "output_"  # how names of keys begin that DataFlow checks


class Columns(NamedTuple):
    """Columns that a run of an operator reads and writes.

    Attributes:
        inputs: Parameter of ``run`` that names a column, to the column; only columns that must be there.
        outputs: Columns that it has afterwards.
    """

    inputs: dict[str, str]
    outputs: list[str]


class Operator:
    """Base of the operators.

    A subclass writes ``run`` and `columns`. In a pipeline of DataFlow ``compile()`` asks the signature of
    ``run`` which columns a run reads and writes, by names of parameters that begin with ``input_`` and
    ``output_``. `Run` gives these names, whatever the parameters are called in the documents.

    Attributes:
        purpose: What it does, in English and in Chinese, the language that DataFlow asks for by default.
    """

    run: Any  # a function where it is written, a `Run` in the class
    purpose: tuple[str, str] = ("", "")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "run" in cls.__dict__:
            cls.run = Run(cls.__dict__["run"])

    def columns(self, arguments: Mapping[str, Any]) -> Columns:
        """The columns of a run.

        Args:
            arguments: Those of ``run``, defaults included.
        """
        raise NotImplementedError  # what a subclass is for

    @classmethod
    def get_desc(cls, lang: str = "zh") -> str:
        """What the operator does, and its parameters: in Chinese for ``zh``, else in English."""
        english, chinese = cls.purpose
        parameters = (inspect.getdoc(cls) or "").partition("Args:")[2].partition("Raises:")[0]
        return f"{chinese if lang == 'zh' else english}\n\n{inspect.cleandoc(parameters)}".strip()


def clip_columns(operator: Any, arguments: Mapping[str, Any]) -> Columns:
    """The columns of an operator on clips: what ``run`` got counts, else what the operator was made with."""
    inputs = {
        name: getattr(operator, name) if arguments[name] is None else arguments[name]
        for name in ("input_video_key", "video_clips_key", "output_key")
    }
    return Columns(inputs, [inputs.pop("output_key")])


class Run:
    """The method ``run`` of an operator: on an instance its signature declares the columns."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function

    def __get__(self, operator: Operator | None, owner: type[Operator]) -> Callable[..., None]:
        return self.function if operator is None else BoundRun(self.function, operator)


class BoundRun:
    """``operator.run``: takes its own parameters, and the columns under the names that DataFlow checks."""

    def __init__(self, function: Callable[..., None], operator: Operator) -> None:
        self.__func__ = function
        self.__self__ = operator
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__signature__ = _Signature.of(function, operator)

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Run the operator."""
        parameters = self.__signature__.parameters
        own = {}
        for name, value in kwargs.items():
            plain = name.removeprefix(_INPUT)
            if name not in parameters and plain in parameters:
                name = plain
            if name in parameters or not name.startswith(_OUTPUT):  # other outputs are declared only
                own[name] = value
        return self.__func__(self.__self__, *args, **own)


class _Signature(inspect.Signature):
    """The signature of ``run``; with defaults applied, arguments are those that DataFlow reads."""

    operator: Operator

    @classmethod
    def of(cls, function: Callable[..., None], operator: Operator) -> _Signature:
        """The signature without ``self``."""
        plain = inspect.signature(function)
        made = cls(list(plain.parameters.values())[1:], return_annotation=plain.return_annotation)
        made.operator = operator
        return made

    def bind(self, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        """As of any signature; input columns may go by the names that DataFlow checks."""
        names = {
            name: name.removeprefix(_INPUT)
            for name in kwargs
            if name not in self.parameters and name.removeprefix(_INPUT) in self.parameters
        }
        kwargs = {names.get(name, name): value for name, value in kwargs.items()}
        return _Bound(self, super().bind(*args, **kwargs).arguments)

    def visible(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What DataFlow reads: the arguments, less those that change nothing, and the columns."""
        columns = self.operator.columns(arguments)
        visible = {
            name: value
            for name, value in arguments.items()
            if name not in columns.inputs and value is not self.parameters[name].default
        }
        for name, column in columns.inputs.items():
            visible[name if name.startswith(_INPUT) else _INPUT + name] = column
        written = [value for name, value in visible.items() if name.startswith(_OUTPUT)]
        return visible | {_OUTPUT + column: column for column in columns.outputs if column not in written}


class _Bound(inspect.BoundArguments):
    def apply_defaults(self) -> None:
        """Add the defaults, then what DataFlow reads."""
        super().apply_defaults()
        assert isinstance(self.signature, _Signature)
        self.arguments = self.signature.visible(self.arguments)


def join_dataflow() -> None:
    """Become DataFlow's operators as soon as DataFlow is imported."""
    after_import("dataflow.core.operator", lambda module: _subclass(module, "OperatorABC", *OPERATORS))
    after_import("dataflow.utils.storage", lambda module: _subclass(module, "DataFlowStorage", "FileStorage"))
    after_import(
        "dataflow.core.llm_serving",
        lambda module: _subclass(
            module, "LLMServingABC", "APILLMServing_request", "LocalModelLLMServing_vllm"
        ),
    )
    after_import("dataflow.utils.registry", _register)


def _ours(name: str) -> Any:
    return getattr(import_module("tools.operators"), name)


def _subclass(module: ModuleType, base: str, *names: str) -> None:
    register = getattr(
        getattr(module, base, None), "register", None
    )  # another package may be called dataflow
    if register is not None:
        for name in names:
            register(_ours(name))


def _register(module: ModuleType) -> None:
    """Register the operators under their names, but for those that DataFlow has itself."""
    registry = getattr(module, "OPERATOR_REGISTRY", None)
    if registry is None:
        return
    packages = Path(module.__file__ or "").parents[1].glob("operators/*/__init__.py")
    theirs = "\n".join(package.read_text(encoding="utf-8", errors="replace") for package in packages)
    for name in OPERATORS:
        if not re.search(rf"\bimport\b.*\b{name}\b", theirs):
            registry.register(_ours(name))
