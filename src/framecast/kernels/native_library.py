"""The compiled C library of the CPU kernels: loading, instruction sets, and which tensors it takes."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_float, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch._C._dynamo.eval_frame import get_eval_frame_callback
from torch.autograd import forward_ad


def is_traced() -> bool:
    """Return whether torch follows what is computed: compiles, exports, transforms (vmap, grad, jvp) or traces it."""
    return (
        torch.compiler.is_compiling()
        or get_eval_frame_callback() is not None  # inside a compiled function, in a part that runs uncompiled
        or torch._C._are_functorch_transforms_active()
        or torch._C._get_tracing_state() is not None
        or forward_ad._current_level >= 0
    )


def is_cpu_float32(x: Tensor) -> bool:
    """Return whether a tensor is float32 on a CPU."""
    return x.dtype == torch.float32 and x.device.type == "cpu"


def are_compatible(maps: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None) -> bool:
    """Return whether maps (B, N, H, W) are of one size, with as many channels together as the weight has inputs."""
    batch, _, *size = maps[0].shape
    return (
        sum(x.shape[1] for x in maps) == weight.shape[1]
        and all(x.ndim == 4 and is_cpu_float32(x) and x.shape[0] == batch and list(x.shape[2:]) == size for x in maps)
        and (bias is None or (is_cpu_float32(bias) and bias.shape == weight.shape[:1]))
    )


NATIVE = Path(__file__).parent / "native"
VERSION = 3
"""`fc_version` of native/framecast.c, raised with every change of `fc_op`."""
GATES = 3
"""`FC_GATES` of native/op.h: most gates of one operation."""
NAMES = ("libframecast.so", "libframecast.dylib")
Instructions = Literal["portable", "avx2", "avx512"]
INSTRUCTIONS: tuple[Instructions, ...] = get_args(Instructions)


class NativeSource(Structure):
    """`fc_source` of native/op.h: a map and the weight that convolves it."""

    _fields_ = (
        ("x", c_void_p),
        ("dx", c_void_p),
        ("weight", c_void_p),
        ("dweight", c_void_p),
        ("channels", c_int64),
        ("stride", c_int64),
    )


class NativeOp(Structure):
    """`fc_op` of native/op.h: one gate operation."""

    _fields_ = (
        ("kind", c_int32),
        ("taps", c_int32),
        ("gates", c_int32),
        ("sources", c_int32),
        ("threads", c_int32),
        ("serial_wgrad", c_int32),
        ("forget_bias", c_float),
        ("batch", c_int64),
        ("height", c_int64),
        ("width", c_int64),
        ("channels", c_int64),
        ("source", POINTER(NativeSource)),
        ("offset", POINTER(c_int32)),
        ("bias", c_void_p * GATES),
        ("addend", c_void_p * GATES),
        ("memory", c_void_p),
        ("out", c_void_p),
        ("delta", c_void_p),
        ("saved", c_void_p * GATES),
        ("dout", c_void_p),
        ("ddelta", c_void_p),
        ("dmemory", c_void_p),
        ("dbias", c_void_p * GATES),
        ("daddend", c_void_p * GATES),
    )


class NativeLibrary(NamedTuple):
    """The loaded library, or why there is none."""

    handle: ctypes.CDLL | None
    reason: str
    """Empty where `handle` is a library."""


@cache
def load_library() -> NativeLibrary:
    """Load the native library, once per process."""
    path = next((NATIVE / name for name in NAMES if (NATIVE / name).exists()), None)
    if path is None:
        return NativeLibrary(None, "not built: no C compiler was there when framecast was installed")
    _share_openmp()
    try:
        handle = ctypes.CDLL(str(path))
        version = handle.fc_version()
    except (OSError, AttributeError) as problem:
        return NativeLibrary(None, f"{path.name} does not load here: {problem}")
    if version != VERSION:
        return NativeLibrary(None, f"{path.name} is of another version of framecast: install framecast again")
    for function in (handle.fc_forward, handle.fc_backward):
        function.argtypes = [POINTER(NativeOp)]
    handle.fc_held.restype = c_int64
    return NativeLibrary(handle, "")


def _share_openmp() -> None:
    """Make torch's OpenMP visible to the library, which is linked to none: two pools of threads would fight."""
    folder = Path(torch.__file__).parent / "lib"
    bundled = [str(path) for name in ("lib*gomp*", "libiomp5*", "libomp*") for path in sorted(folder.glob(name))]
    for name in (*bundled, "libgomp.so.1", "libomp.so.5"):
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return


def use_instructions(name: Instructions | None = None) -> Instructions | None:
    """Choose the instruction set of the kernels.

    Args:
        name: of the set; None, or one that this machine lacks, is the best that it has.

    Returns:
        the set in use; None without the library.
    """
    handle = load_library().handle
    if handle is None:
        return None
    return INSTRUCTIONS[handle.fc_use(-1 if name is None else INSTRUCTIONS.index(name))]


def describe_kernels() -> str:
    """Describe in words the kernels that convolve on this machine's CPU."""
    handle, reason = load_library()
    if handle is None:
        return f"direct (torch's convolutions); fast kernels {reason}"
    threads = torch.get_num_threads() if handle.fc_threaded() else 1
    used = INSTRUCTIONS[handle.fc_used()]
    return f"fast (Winograd, {used}, threads: {threads}); torch's for float64 and other sizes of kernels"
