# SPDX-License-Identifier: Apache-2.0
"""libadesieve by ctypes: the mirror of include/adesieve.h, finding and loading the library, and its errors.

tests/test_abi.py compares every structure, enum and function here with the header.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import logging
import os
import sys
import threading
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_size_t
from ctypes import c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any, Callable, Generator

from ._version import __version__
from .errors import Status, Unsupported, error_of

# ---- Enums ------------------------------------------------------------------------------------------------------


class LogLevel(enum.IntEnum):
    DEBUG = 0
    INFO = 1
    WARNING = 2


class Problem(enum.IntEnum):
    SINGLE_LABEL = 0
    MULTI_LABEL = 1
    REGRESSION = 2


class Device(enum.IntEnum):
    AUTO = 0
    CPU = 1
    CUDA = 2
    NONE = 3


class Precision(enum.IntEnum):
    AUTO = 0
    F32 = 1
    BF16 = 2
    F16 = 3
    F64 = 4
    INT8 = 5


class ModelKind(enum.IntEnum):
    ENCODER = 0
    BASELINE = 1


class CalibrationMethod(enum.IntEnum):
    AUTO = 0
    TEMPERATURE = 1
    PLATT = 2
    ISOTONIC = 3


class Target(enum.IntEnum):
    SCORE = 0
    RECALL = 1
    PRECISION = 2
    REVIEW = 3


class InvalidUtf8(enum.IntEnum):
    ERROR = 0
    REPLACE = 1


class Part(enum.IntEnum):
    TITLE = 0
    ABSTRACT = 1
    DELETED = 2
    OTHER_ABSTRACT = 3
    FILE = 4
    RECORD = 5


class OtherAbstracts(enum.IntEnum):
    NONE = 0
    ENGLISH = 1
    ALL = 2


# The enums by their names in the header; members are ADE_<NAME> for Status, else ADE_<ENUM>_<NAME>.
ENUMS: dict[str, type[enum.IntEnum]] = {
    "ade_status": Status,
    "ade_log_level": LogLevel,
    "ade_problem": Problem,
    "ade_device": Device,
    "ade_precision": Precision,
    "ade_model_kind": ModelKind,
    "ade_calibration_method": CalibrationMethod,
    "ade_target": Target,
    "ade_invalid_utf8": InvalidUtf8,
    "ade_other_abstracts": OtherAbstracts,
    "ade_part": Part,
}

# ---- Structures -------------------------------------------------------------------------------------------------


class _Sized(ctypes.Structure):
    """A structure that begins with its own size."""

    def __init__(self, **values: Any) -> None:
        super().__init__(struct_size=ctypes.sizeof(self), **values)


LOG_FN = CFUNCTYPE(None, c_void_p, c_int, c_char_p)
PROGRESS_FN = CFUNCTYPE(c_int, c_void_p, c_uint64, c_uint64)


class _ModelHandle(ctypes.Structure):
    """Never defined, as in the header: a pointer to one kind of handle does not pass for another."""


class Text(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("size", c_size_t)]


class ModelOptions(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("labels", c_char_p),
        ("positive_label", c_char_p),
        ("log", LOG_FN),
        ("log_user", c_void_p),
        ("calibration", c_char_p),
    ]


class ModelInfo(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("n_labels", c_int32),
        ("positive_label", c_int32),
        ("problem", c_int32),
        ("n_layers", c_int32),
        ("hidden_size", c_int32),
        ("n_heads", c_int32),
        ("intermediate_size", c_int32),
        ("vocab_size", c_int32),
        ("max_length", c_int32),
        ("lowercase", c_int32),
        ("strip_accents", c_int32),
        ("calibrated", c_int32),
        ("n_parameters", c_uint64),
        ("folder", c_char_p),
        ("name", c_char_p),
        ("architecture", c_char_p),
        ("activation", c_char_p),
        ("weights_type", c_char_p),
        ("tokenizer_source", c_char_p),
        ("casing_reason", c_char_p),
        ("kind", c_int32),
        ("reserved", c_int32),
    ]


class SessionOptions(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("device", c_int32),
        ("device_index", c_int32),
        ("precision", c_int32),
        ("threads", c_int32),
        ("max_length", c_int32),
        ("token_budget", c_int32),
        ("invalid_utf8", c_int32),
        ("split_special_tokens", c_int32),
        ("reserved", c_int32),
        ("progress", PROGRESS_FN),
        ("progress_user", c_void_p),
        ("log", LOG_FN),
        ("log_user", c_void_p),
    ]


class SessionInfo(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("device", c_int32),
        ("device_index", c_int32),
        ("precision", c_int32),
        ("threads", c_int32),
        ("max_length", c_int32),
        ("token_budget", c_int32),
        ("reserved", c_int32),
        ("device_name", c_char_p),
        ("instruction_set", c_char_p),
        ("device_reason", c_char_p),
    ]


class SessionProfile(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_int32),
        ("texts", c_uint64),
        ("tokens", c_uint64),
        ("batches", c_uint64),
        ("seconds", c_double),
        ("tokenizing", c_double),
        ("encoding", c_double),
        ("products", c_double),
        ("attention", c_double),
        ("elementwise", c_double),
        ("waiting", c_double),
        ("operations", c_double),
    ]


class Result(ctypes.Structure):
    _fields_ = [
        ("label", c_int32),
        ("score", c_float),
        ("tokens", c_int32),
        ("unknown", c_int32),
        ("truncated", c_int32),
        ("replaced", c_int32),
    ]


class Token(ctypes.Structure):
    _fields_ = [("id", c_int32), ("start", c_uint32), ("end", c_uint32)]


class TokensInfo(ctypes.Structure):
    _fields_ = [
        ("n_tokens", c_size_t),
        ("unknown", c_int32),
        ("truncated", c_int32),
        ("replaced", c_int32),
        ("reserved", c_int32),
    ]


class CalibrationInfo(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("method", c_int32),
        ("n", c_uint64),
        ("n_positive", c_uint64),
        ("prevalence", c_double),
        ("temperature", c_double),
        ("slope", c_double),
        ("offset", c_double),
        ("log_loss_before", c_double),
        ("log_loss_after", c_double),
        ("ece_before", c_double),
        ("ece_after", c_double),
        ("data", c_char_p),
        ("model", c_char_p),
    ]


class OperatingPoint(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_int32),
        ("threshold", c_double),
        ("prevalence", c_double),
        ("recall", c_double),
        ("recall_low", c_double),
        ("recall_high", c_double),
        ("precision", c_double),
        ("precision_low", c_double),
        ("precision_high", c_double),
        ("review", c_double),
        ("review_low", c_double),
        ("review_high", c_double),
    ]


class CalibrationOptions(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("method", c_int32),
        ("folds", c_int32),
        ("reserved", c_int32),
        ("seed", c_uint64),
        ("data", c_char_p),
    ]


class TextList(ctypes.Structure):
    _fields_ = [("items", POINTER(Text)), ("n", c_size_t)]


class ScreenRecord(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("version", c_int32),
        ("pmid", c_int64),
        ("book", c_int32),
        ("retracted", c_int32),
        ("mesh_adverse_effects", c_int32),
        ("mesh_chemically_induced", c_int32),
        ("title", Text),
        ("date", Text),
        ("date_revised", Text),
        ("journal", Text),
        ("doi", Text),
        ("languages", TextList),
        ("publication_types", TextList),
        ("mesh", TextList),
        ("chemicals", TextList),
        ("n_sentences", c_uint32),
        ("n_screened", c_uint32),
        ("n_hits", c_uint32),
        ("reserved", c_uint32),
        ("score", c_double),
        ("noisy_or", c_double),
    ]


class ScreenPart(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("part", c_int32),
        ("pmid", c_int64),
        ("version", c_int32),
        ("section_index", c_int32),
        ("section", Text),
        ("text", Text),
        ("source", c_char_p),
    ]


PART_FN = CFUNCTYPE(None, c_void_p, POINTER(ScreenPart))


class ScreenOptions(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("all", c_int32),
        ("threshold", c_double),
        ("no_section_label", c_int32),
        ("keep_going", c_int32),
        ("limit", c_uint64),
        ("session", POINTER(SessionOptions)),
        ("parts", PART_FN),
        ("parts_user", c_void_p),
        ("other_abstracts", c_int32),
        ("documents", c_int32),
        ("file_rows", c_int32),
        ("dry_run", c_int32),
        ("no_md5", c_int32),
        ("no_store_text", c_int32),
        ("store", c_char_p),
        ("drop_failed", c_int32),
        ("record_rows", c_int32),
        ("prevalence", c_double),
        ("prefilter", POINTER(_ModelHandle)),
        ("prefilter_threshold", c_double),
    ]


class ScreenRow(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("part", c_int32),
        ("pmid", c_int64),
        ("version", c_int32),
        ("sentence", c_int32),
        ("section", Text),
        ("text", Text),
        ("start", c_uint64),
        ("end", c_uint64),
        ("start_char", c_uint64),
        ("end_char", c_uint64),
        ("result", Result),
        ("hit", c_int32),
        ("section_index", c_int32),
        ("logits", POINTER(c_float)),
        ("probabilities", POINTER(c_float)),
        ("source", c_char_p),
        ("record", POINTER(ScreenRecord)),
        ("calibrated", c_double),
        ("text_hash", c_uint64),
    ]


class ScreenStats(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("files_failed", c_uint32),
        *(
            (name, c_uint64)
            for name in (
                "files_total files_done bytes_read bytes_xml citations new_citations revised unchanged superseded "
                "deleted without_abstract without_text sentences screened skipped hits rows confirmed tokens "
                "unknown_tokens truncated_texts replaced"
            ).split()
        ),
        ("seconds_read", c_double),
        ("seconds_classify", c_double),
        ("seconds_total", c_double),
        ("files_skipped", c_uint64),
        ("documents", c_uint64),
        ("retracted", c_uint64),
        ("books", c_uint64),
        ("seconds_starved", c_double),
        ("prefiltered", c_uint64),
    ]


class ScreenFile(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("status", c_int32),
        ("error", c_char_p),
        ("path", c_char_p),
        ("name", c_char_p),
        ("md5", c_char_p),
        ("md5_checked", c_int32),
        ("skipped", c_int32),
        *(
            (name, c_uint64)
            for name in (
                "bytes bytes_xml citations new_citations revised unchanged superseded deleted sentences screened hits "
                "rows tokens"
            ).split()
        ),
        ("seconds", c_double),
        ("earlier", c_uint32),
        ("reserved", c_uint32),
    ]


class ExportInfo(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("complete", c_int32),
        ("files", c_uint64),
        ("records", c_uint64),
        ("deleted", c_uint64),
        ("documents", c_uint64),
        ("hits", c_uint64),
        ("threshold", c_double),
        ("settings", c_char_p),
        ("runs", c_char_p),
    ]


class ExportDocument(_Sized):
    _fields_ = [
        ("struct_size", c_uint32),
        ("deleted", c_int32),
        ("record", POINTER(ScreenRecord)),
        ("rows", POINTER(ScreenRow)),
        ("n_rows", c_size_t),
        ("parts", POINTER(ScreenPart)),
        ("n_parts", c_size_t),
        ("source", c_char_p),
        ("labels", POINTER(c_char_p)),
    ]


# The structures by their names in the header.
STRUCTS: dict[str, type[ctypes.Structure]] = {
    "ade_text": Text,
    "ade_model_options": ModelOptions,
    "ade_model_info": ModelInfo,
    "ade_session_options": SessionOptions,
    "ade_session_info": SessionInfo,
    "ade_session_profile": SessionProfile,
    "ade_result": Result,
    "ade_token": Token,
    "ade_tokens_info": TokensInfo,
    "ade_calibration_info": CalibrationInfo,
    "ade_operating_point": OperatingPoint,
    "ade_calibration_options": CalibrationOptions,
    "ade_text_list": TextList,
    "ade_screen_record": ScreenRecord,
    "ade_screen_part": ScreenPart,
    "ade_screen_options": ScreenOptions,
    "ade_screen_row": ScreenRow,
    "ade_screen_stats": ScreenStats,
    "ade_screen_file": ScreenFile,
    "ade_export_info": ExportInfo,
    "ade_export_document": ExportDocument,
}


class _SessionHandle(ctypes.Structure):
    pass


class _ScreenHandle(ctypes.Structure):
    pass


class _ExportHandle(ctypes.Structure):
    pass


Model = POINTER(_ModelHandle)
Session = POINTER(_SessionHandle)
Screen = POINTER(_ScreenHandle)
Export = POINTER(_ExportHandle)

# ---- Functions --------------------------------------------------------------------------------------------------

# (name, what it returns, what it takes): all that the header declares.
FUNCTIONS: list[tuple[str, Any, list[Any]]] = [
    ("ade_status_name", c_char_p, [c_int]),
    ("ade_status_text", c_char_p, [c_int]),
    ("ade_last_error", c_char_p, []),
    ("ade_version", c_char_p, []),
    ("ade_version_number", c_uint32, []),
    ("ade_struct_size", c_size_t, [c_char_p]),
    ("ade_model_open", c_int, [c_char_p, POINTER(ModelOptions), POINTER(Model)]),
    ("ade_model_close", None, [Model]),
    ("ade_model_get_info", c_int, [Model, POINTER(ModelInfo)]),
    ("ade_model_label", c_char_p, [Model, c_int32]),
    ("ade_model_token", c_char_p, [Model, c_int32]),
    ("ade_model_hash", c_int, [Model, c_char_p]),
    ("ade_default_model", c_char_p, []),
    ("ade_session_open", c_int, [Model, POINTER(SessionOptions), POINTER(Session)]),
    ("ade_session_close", None, [Session]),
    ("ade_session_get_info", c_int, [Session, POINTER(SessionInfo)]),
    ("ade_session_get_profile", c_int, [Session, POINTER(SessionProfile)]),
    ("ade_session_time_products", c_int, [Session, c_int32, c_int32, POINTER(c_double)]),
    ("ade_classify", c_int, [Session, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    ("ade_tokenize", c_int, [Session, Text, POINTER(Token), c_size_t, POINTER(TokensInfo)]),
    ("ade_encode", c_int, [Session, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, POINTER(c_size_t)]),
    ("ade_model_get_calibration", c_int, [Model, POINTER(CalibrationInfo)]),
    ("ade_calibrate", c_int, [Model, c_void_p, c_size_t, c_double, c_void_p]),
    ("ade_model_operating_point", c_int, [Model, c_int32, c_double, c_double, POINTER(OperatingPoint)]),
    ("ade_calibration_fit", c_int, [Model, c_void_p, c_void_p, c_size_t, POINTER(CalibrationOptions), c_char_p]),
    ("ade_screen_open", c_int, [Model, POINTER(ScreenOptions), POINTER(Screen)]),
    ("ade_screen_add", c_int, [Screen, c_char_p]),
    ("ade_screen_input", c_char_p, [Screen, c_size_t]),
    ("ade_screen_next", c_int, [Screen, POINTER(ScreenRow)]),
    ("ade_screen_confirm", c_int, [Screen]),
    ("ade_screen_set_note", c_int, [Screen, c_char_p]),
    ("ade_screen_get_note", c_char_p, [Screen]),
    ("ade_screen_get_file", c_int, [Screen, POINTER(ScreenFile)]),
    ("ade_screen_get_stats", c_int, [Screen, POINTER(ScreenStats)]),
    ("ade_screen_get_session_info", c_int, [Screen, POINTER(SessionInfo)]),
    ("ade_screen_get_profile", c_int, [Screen, POINTER(SessionProfile)]),
    ("ade_screen_close", None, [Screen]),
    ("ade_export_open", c_int, [c_char_p, POINTER(Export)]),
    ("ade_export_get_info", c_int, [Export, POINTER(ExportInfo)]),
    ("ade_export_next", c_int, [Export, c_double, c_int32, POINTER(ExportDocument)]),
    ("ade_export_close", None, [Export]),
]

# ---- Errors -----------------------------------------------------------------------------------------------------


def check(status: int) -> None:
    """Raises the exception of a failed call. To be called on the thread that made the call, right after it."""
    if status != Status.OK:
        raise error_of(status, load().ade_last_error().decode("utf-8", "replace"))


# ---- Loading ----------------------------------------------------------------------------------------------------

_SUFFIX = ".dylib" if sys.platform == "darwin" else ".so"
_MAJOR, _MINOR = (int(part) for part in __version__.split(".")[:2])

_lock = threading.Lock()
_library: Any = None
_path = ""


def _forked() -> None:
    """In the child: the lock may be held by a thread that did not come along."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _places() -> list[str]:
    """Where the library may be, in the order in which it is looked for."""
    chosen = os.environ.get("ADESIEVE_LIBRARY")
    if chosen:
        return [os.path.abspath(chosen)]  # a wish is not replaced by something else in silence
    package = Path(__file__).resolve().parent
    names = ["libadesieve" + _SUFFIX, f"libadesieve{_SUFFIX}.{_MAJOR}"]
    places = [str(package / name) for name in names]
    source = package.parent.parent
    if (source / "include" / "adesieve.h").is_file():
        places.append(str(source / "build" / names[0]))
    return places + [names[1]]  # a bare name: the system's loader searches


def _unfit(library: Any) -> str:
    """Why this package cannot work with the library; "" if it can. Binds the functions."""
    try:
        # Read before anything is bound, so that a version that does not fit is told as that.
        library.ade_version.restype, library.ade_version_number.restype = c_char_p, c_uint32
        number, version = library.ade_version_number(), library.ade_version().decode("ascii", "replace")
    except AttributeError:
        return "it is not libadesieve"
    if number // 10000 != _MAJOR or number // 100 % 100 < _MINOR:
        return (
            f"it is version {version}, and this package, {__version__}, needs {_MAJOR}.{_MINOR} or a later {_MAJOR}.x: "
            f"install the two from one release"
        )
    for name, result, arguments in FUNCTIONS:
        try:
            function = getattr(library, name)
        except AttributeError:
            return f"it is version {version}, but has no {name}: it is of another build than this package; rebuild it"
        function.restype, function.argtypes = result, arguments
    for name, struct in STRUCTS.items():
        size, own = library.ade_struct_size(name.encode()), ctypes.sizeof(struct)
        # Those that begin with their size may have grown in a later version; of the others both must be equal.
        if size < own or (size > own and struct._fields_[0][0] != "struct_size"):
            return (
                f"its {name} has {size} bytes, this package's {own}: it is of another build than this package; "
                f"rebuild it"
            )
    return ""


def _open() -> tuple[Any, str]:
    tried = []
    for place in _places():
        if os.path.isabs(place) and not os.path.exists(place):
            tried.append(f"{place}: no such file")
            continue
        try:
            library = ctypes.CDLL(place)
        except OSError as error:
            tried.append(f"{place}: {error}")
            continue
        why = _unfit(library)
        if not why:
            return library, place
        tried.append(f"{place}: {why}")
    raise Unsupported(
        "libadesieve was not found. Install adesieve's wheel, build the library, or name its file in ADESIEVE_LIBRARY. "
        "Tried:\n  " + "\n  ".join(tried)
    )


def load() -> Any:
    """The library; loaded by the first call."""
    global _library, _path
    if _library is None:
        with _lock:
            if _library is None:
                library, _path = _open()
                _library = library
    return _library


def model_hash(model: Any) -> str:
    """An open model's SHA-256, in hexadecimal. The first time it reads all of the model's weights."""
    digest = ctypes.create_string_buffer(65)
    check(load().ade_model_hash(model, digest))
    return digest.value.decode("ascii")


def library_version() -> str:
    """The version of the library that is in use, such as ``"0.1.0"``.

    Raises
    ------
    Unsupported
        Where no library is found that fits this package; the message says where it was looked for.

    Examples
    --------
    >>> import adesieve
    >>> len(adesieve.library_version().split("."))
    3
    """
    return str(load().ade_version().decode())


def library_path() -> str:
    """The file from which the library was loaded (a bare name if the system's loader found it).

    Raises
    ------
    Unsupported
        As `library_version`.

    Examples
    --------
    >>> import adesieve
    >>> "adesieve" in adesieve.library_path()
    True
    """
    load()
    return _path


# ---- Callbacks --------------------------------------------------------------------------------------------------

_LEVELS: dict[int, int] = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
}


logger = logging.getLogger("adesieve")


def _log(user: int | None, level: int, message: bytes) -> None:
    logger.log(_LEVELS.get(level, logging.INFO), "%s", message.decode("utf-8", "replace"))


log = LOG_FN(_log)  # hands the library's messages to the logger "adesieve"


class Watch:
    """Lets Python's signal handlers run during long calls, and stops a call when one raises, as Ctrl-C's does. It also
    knows how far the call is, and calls ``report`` each time the library asks.

    Attributes
    ----------
    done : int
        Texts of the present call, or bytes of a screening run.
    report : callable or None
        For a progress bar.

    Python runs pending handlers when it enters a function, before the function's own ``try`` is in force; an exception
    there would be printed and lost. So the callback resumes a generator, which is inside its ``try`` all the time. The
    generator must be resumed by C alone, for the same reason, and ``send`` takes one value of the three that the
    library passes. So ``max`` sends them one after the other, to have their keys: the user pointer, which is NULL; what
    is done; the total. What has the highest key is what the library gets: with equal ones the first, 0, to go on; with
    the values themselves the total, to stop.
    """

    def __init__(self) -> None:
        self.done = 0
        self.report: Callable[[], None] | None = None
        self._place = 0
        self._raised: BaseException | None = None
        waiting = self._wait()
        next(waiting)
        self._thunk = CFUNCTYPE(c_int, c_size_t, c_uint64, c_uint64)(functools.partial(max, key=waiting.send))
        self.callback = ctypes.cast(self._thunk, PROGRESS_FN)

    def _wait(self) -> Generator[int, int, None]:
        key = 0
        while True:
            try:
                while True:  # inside the try, as a handler can run at each turn of a loop
                    value = yield key
                    self._place = (self._place + 1) % 3
                    if self._place == 2:
                        self.done = value
                    elif self._place == 0 and self.report is not None:
                        self.report()
                    key = value if self._raised is not None else 0
            except GeneratorExit:
                return
            except BaseException as error:
                self._raised = error
                key = 1

    def begin(self) -> None:
        """Before each call. Forgets what was raised when the last one was cut short by a second Ctrl-C."""
        self._raised = None
        self._place = self.done = 0

    def check(self, status: int) -> None:
        """As `check`, but raises the handler's exception if there was one."""
        if self._raised is not None:
            error, self._raised = self._raised, None
            raise error
        check(status)
