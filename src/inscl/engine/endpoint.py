"""A server that answers the test questions in place of the model here: ``evaluation.endpoint``.

What a stage has learned is saved as ever. Then the server takes it from there, by one of two ways:

- ``load``: vLLM loads an adapter while it runs (``/v1/load_lora_adapter``) and is asked for it by name;
- ``folder``: the folder of a whole model is the name that is asked for, as ``transformers serve`` takes it.

The name holds a digest of what was saved, since servers keep what they have loaded once under a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from inscl.config.settings import RunConfig
from inscl.contract.seams import Progress
from inscl.errors import ConfigError, EndpointError, Problem, RefusedError, UserError, nearest
from inscl.learners.served import Served
from inscl.llm.endpoint import ChatEndpoint
from inscl.llm.settings import LLMSettings
from inscl.storage.files.integrity import content_digest, digests

__all__ = ["Endpoint"]

_KEY = "evaluation.endpoint"
_LOAD, _UNLOAD = "/load_lora_adapter", "/unload_lora_adapter"
_VLLM = (
    "Adapters are loaded by vLLM, started with --enable-lora and the environment variable "
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True. A server that takes the folder of a whole model by name, as transformers "
    f"serve does, is asked with {_KEY}.adapters: folder. llama.cpp's server can do neither: see the learner served"
)


class Endpoint:
    """A server, and how it comes to what was learned here.

    Args:
        config: With ``evaluation.endpoint``.
        progress: Who is told.

    Raises:
        ConfigError: Settings that can't be.
        MissingExtraError: The package openai isn't installed.
        UserError: There is neither a key nor an address.
    """

    def __init__(self, config: RunConfig, progress: Progress) -> None:
        settings = config.evaluation.endpoint
        assert settings is not None
        self._settings, self._config, self._progress = settings, config, progress
        self._llm = LLMSettings.read(settings.llm, f"{_KEY}.llm")
        try:
            self._served(self._llm.model)
        except ConfigError as error:
            told = [Problem(one.key.replace("training.params", _KEY), one.message) for one in error.problems]
            raise ConfigError(told) from error

    def check(self) -> None:
        """See that the server is there, knows the base model and loads adapters, if it will be asked to.

        Raises:
            UserError: It doesn't.
            EndpointError: It can't be asked.
        """
        if self._settings.adapters != "load":
            return  # such a server lists what it has already, or nothing
        with self._server() as server:
            known = server.models()
            if server.name not in known:
                raise UserError(
                    f"{_KEY}.llm: the server at {server.address} serves no {server.name!r}{nearest(server.name, known)}"
                )
            try:
                server.post(_LOAD, {})
            except RefusedError:
                return  # of an empty request: it knows what it is asked
            except EndpointError as error:
                raise UserError(f"{_KEY}: {error}. {_VLLM}") from error

    @contextmanager
    def serving(self, state: Path | None) -> Iterator[Served]:
        """Within this block the server serves what was saved; yields who is asked.

        Args:
            state: The folder that the learner saved; None is the model as it came.

        Raises:
            UserError: The server can't serve what stands there.
            EndpointError: It can't be asked, or couldn't load it.
        """
        if state is None:
            self.check()
            yield self._served(self._llm.model)
            return
        adapter = (state / "adapter_config.json").is_file()
        if adapter != (self._settings.adapters == "load"):
            raise UserError(f"{_KEY}: {_unfit(state, adapter)}")
        name = f"inscl-{content_digest(digests(state))[:16]}"
        with self._loaded(name, state) if adapter else _linked(name, state) as served:
            yield self._served(served)

    @contextmanager
    def _loaded(self, name: str, state: Path) -> Iterator[str]:
        with self._server() as server:
            # One that an interrupted command left is the same, by its name.
            if name not in server.models():
                server.post(_LOAD, {"lora_name": name, "lora_path": str(state.resolve())})
            try:
                yield name
            finally:
                try:
                    server.post(_UNLOAD, {"lora_name": name})
                except EndpointError as error:
                    self._progress.note(f"the adapter {name} stays at the server: {error}")

    def _server(self) -> ChatEndpoint:
        server = self._llm.chat_model()
        assert isinstance(server, ChatEndpoint)  # the learner refuses models of this process
        return server

    def _served(self, name: str) -> Served:
        """Who asks for the model of a name."""
        config = self._config
        return Served(
            config.model.name,
            llm=replace(self._llm, model=name),
            template=self._settings.template,
            likelihoods=self._settings.likelihoods,
            max_length=config.training.max_length,
            prompt=config.model.prompt,
            progress=self._progress,
        )


@contextmanager
def _linked(name: str, state: Path) -> Iterator[str]:
    """A name of its own for the folder of a model, on the same disk."""
    link = state.resolve().with_name(name)
    link.unlink(missing_ok=True)  # of an interrupted command
    link.symlink_to(state.resolve(), target_is_directory=True)
    try:
        yield str(link)
    finally:
        link.unlink(missing_ok=True)


def _unfit(state: Path, adapter: bool) -> str:
    if adapter:
        return f"{state} holds an adapter, and adapters: folder has whole models served: set adapters to load"
    said = "holds no adapter, and adapters: load has adapters loaded: set model.adapter to {kind: lora}, whose mode"
    return f"{state} {said} isn't merge, or adapters to folder"
