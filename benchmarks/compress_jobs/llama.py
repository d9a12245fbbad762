"""llama.cpp as an engine of this folder: the C functions of the library inside xllamacpp's wheel."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

MAX_TOKENS = 1024  # of a row


class _Params(ctypes.Structure):
    """Room for a structure of llama.cpp's parameters, of which only the first number is ever set."""

    _fields_: ClassVar[list[Any]] = [("words", ctypes.c_uint32 * 256)]


class _Batch(ctypes.Structure):
    _fields_: ClassVar[list[Any]] = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "llama_backend_init": (None, []),
    "llama_log_set": (None, [_LOG, ctypes.c_void_p]),
    "llama_model_default_params": (_Params, []),
    "llama_context_default_params": (_Params, []),
    "llama_model_load_from_file": (ctypes.c_void_p, [ctypes.c_char_p, _Params]),
    "llama_init_from_model": (ctypes.c_void_p, [ctypes.c_void_p, _Params]),
    "llama_n_ctx": (ctypes.c_uint32, [ctypes.c_void_p]),
    "llama_set_n_threads": (None, [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32]),
    "llama_batch_init": (_Batch, [ctypes.c_int32] * 3),
    "llama_decode": (ctypes.c_int32, [ctypes.c_void_p, _Batch]),
    "llama_get_logits": (ctypes.POINTER(ctypes.c_float), [ctypes.c_void_p]),
    "llama_get_memory": (ctypes.c_void_p, [ctypes.c_void_p]),
    "llama_memory_clear": (None, [ctypes.c_void_p, ctypes.c_bool]),
    "llama_model_get_vocab": (ctypes.c_void_p, [ctypes.c_void_p]),
    "llama_vocab_n_tokens": (ctypes.c_int32, [ctypes.c_void_p]),
}


class LlamaCpp:
    """llama.cpp as xllamacpp's wheel carries it, called through its C functions with its own defaults.

    The wheel's server tells probabilities of the next token alone, a request each; the C functions give the logits of a
    whole row at once, and no JSON is timed. Parameters are passed as llama.cpp made them, apart from the first number.
    """

    packages: ClassVar[tuple[str, ...]] = ("xllamacpp",)

    def __init__(self, path: Path, _: dict[str, Any]) -> None:
        import xllamacpp

        self.llama = ctypes.CDLL(str(next(Path(xllamacpp.__path__[0]).glob("xllamacpp*.so"))))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self.llama, name)
            function.restype, function.argtypes = result, arguments
        self.silence = _LOG(lambda *_: None)
        self.llama.llama_log_set(self.silence, None)
        self.llama.llama_backend_init()
        model = self.llama.llama_model_load_from_file(str(path).encode(), self.llama.llama_model_default_params())
        given = self.llama.llama_context_default_params()
        given.words[0] = MAX_TOKENS
        self.context = self.llama.llama_init_from_model(model, given) if model else None
        if not self.context or self.llama.llama_n_ctx(self.context) != MAX_TOKENS:
            raise RuntimeError(f"llama.cpp of this xllamacpp does not open {path.name} by these C functions")
        self.llama.llama_set_n_threads(self.context, 1, 1)
        self.batch = self.llama.llama_batch_init(MAX_TOKENS, 0, 1)
        self.vocab_size = self.llama.llama_vocab_n_tokens(self.llama.llama_model_get_vocab(model))
        self.read, self.size_bytes = 0, None

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        self._empty()
        self._go(ids, of_all=True)
        rows = np.ctypeslib.as_array(self.llama.llama_get_logits(self.context), (len(ids), self.vocab_size))
        return np.array(rows)

    def prefill(self, ids: Sequence[int]) -> None:
        self._empty()
        self._go(ids, of_all=False)

    def step(self, token: int) -> None:
        self._go([token], of_all=False)

    def _empty(self) -> None:
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.context), True)
        self.read = 0

    def _go(self, ids: Sequence[int], *, of_all: bool) -> None:
        batch, start, self.read = self.batch, self.read, self.read + len(ids)
        batch.n_tokens = len(ids)
        for at, token in enumerate(ids):
            batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.seq_id[at][0] = token, start + at, 1, 0
            batch.logits[at] = of_all or at == len(ids) - 1
        code = self.llama.llama_decode(self.context, batch)
        if code:
            raise RuntimeError(f"llama_decode gave {code}")
