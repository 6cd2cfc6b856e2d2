"""A local server that speaks OpenAI's chat completions protocol: scripted replies, or a small model behind it.

`python tests/openai_server.py <model folder>` serves a folder until it is stopped, for trying an API judge by hand.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What the server sends: a body (bytes as they are), after `seconds`; `cut` closes the connection half-way."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cut: bool = False


Script = Callable[[dict, int], Reply]  # from a request's body and its number (from 0) to a reply


def completion(*texts: str, reason: str = "stop", tokens: int = 10, model: str = "scripted") -> Reply:
    """A whole answer with one choice per text."""
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 100, "completion_tokens": tokens, "total_tokens": 100 + tokens}
    return Reply(
        {"id": "x", "object": "chat.completion", "created": 0, "model": model, "choices": choices, "usage": usage}
    )


def refusal(status: int, message: str, code: str | None = None, **headers: str) -> Reply:
    """An error as OpenAI's API writes it."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


class OpenAIServer:
    """Serves while its `with` block runs; `bodies` and `headers` hold every request, `most` the most at one time."""

    def __init__(self, script: Script):
        self.script = script
        self.bodies: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.in_flight = self.most = 0
        self.lock = threading.Lock()
        self.http = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def __enter__(self) -> OpenAIServer:
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def reply(self, body: dict, headers: dict[str, str]) -> Reply:
        """Record a request and ask the script for its reply."""
        with self.lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self.headers.append(headers)
            self.times.append(time.monotonic())
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
        try:
            reply = self.script(body, number)
            time.sleep(reply.seconds)
            return reply
        finally:
            with self.lock:
                self.in_flight -= 1


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def _handler(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/v1/chat/completions":
                return self.send(refusal(404, f"no such path: {self.path}"))
            return self.send(server.reply(body, {name.lower(): value for name, value in self.headers.items()}))

        def send(self, reply: Reply) -> None:
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            try:
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if reply.cut else data)
                self.close_connection = reply.cut
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client has gone: it was killed, or lost its patience

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


class ModelScript:
    """Answers with a model folder through transformers' generate, by the parameters of each request."""

    def __init__(self, folder: str):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.lock = threading.Lock()

    def __call__(self, body: dict, number: int) -> Reply:
        goes_on = body.get("continue_final_message", False)
        text = self.tokenizer.apply_chat_template(
            body["messages"], tokenize=False, add_generation_prompt=not goes_on, continue_final_message=goes_on
        )
        ids = self.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        limit = self.model.config.max_position_embeddings
        if ids.shape[1] + body["max_tokens"] > limit:
            return refusal(400, f"This model's maximum context length is {limit} tokens.", "context_length_exceeded")
        with self.lock:
            texts, ends, tokens = self._generate(ids, body) if not goes_on else self._choose(ids, body)
        reply = completion(*texts, tokens=tokens, model=body["model"])
        for choice, ended in zip(reply.body["choices"], ends, strict=True):
            choice["finish_reason"] = "stop" if ended else "length"
        return reply

    def _generate(self, ids: Any, body: dict) -> tuple[list[str], list[bool], int]:
        import torch

        torch.manual_seed(body.get("seed", 0))
        with torch.inference_mode():
            output = self.model.generate(
                ids, do_sample=body["temperature"] > 0, temperature=body["temperature"] or None, top_p=body["top_p"],
                top_k=0, repetition_penalty=body.get("repetition_penalty", 1.0), max_new_tokens=body["max_tokens"],
                num_return_sequences=body.get("n", 1), pad_token_id=self.tokenizer.pad_token_id,
            )  # fmt: skip
        rows = output[:, ids.shape[1] :].tolist()
        ends = [self.tokenizer.eos_token_id in row for row in rows]
        return self.tokenizer.batch_decode(rows, skip_special_tokens=True), ends, sum(map(len, rows))

    def _choose(self, ids: Any, body: dict) -> tuple[list[str], list[bool], int]:
        """The likeliest of the choices, each of one token, as a structured output at temperature 0."""
        import torch

        choices = body["structured_outputs"]["choice"]
        tokens = [row[0] for row in self.tokenizer(choices, add_special_tokens=False)["input_ids"]]
        with torch.inference_mode():
            logits = self.model(ids).logits[0, -1, tokens]
        return [choices[int(logits.argmax())]], [True], 1


if __name__ == "__main__":
    import sys

    with OpenAIServer(ModelScript(sys.argv[1])) as running:
        print(f"serving {sys.argv[1]} at {running.url} (stop with Ctrl-C)", flush=True)
        threading.Event().wait()
