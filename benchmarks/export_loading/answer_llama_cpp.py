"""Answers of a GGUF file by llama.cpp: ``python answer_llama_cpp.py FILE < prompts.json``; JSON, last line."""

from __future__ import annotations

import json
import sys

from xllamacpp import CommonParams, Server

settings = CommonParams()
settings.model.path = sys.argv[1]
settings.n_ctx = 1024
settings.n_parallel = 1
server = Server(settings)
answers = []
for prompt, tokens in json.load(sys.stdin):
    asked = {"messages": [{"role": "user", "content": prompt}], "max_tokens": tokens, "temperature": 0}
    answers.append(server.handle_chat_completions(asked)["choices"][0]["message"]["content"].strip())
print(json.dumps(answers), flush=True)
