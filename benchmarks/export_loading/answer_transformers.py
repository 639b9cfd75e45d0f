"""Answers of a model's folder by transformers alone: ``python answer_transformers.py FOLDER < prompts.json``."""

from __future__ import annotations

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
answers = []
for prompt, tokens in json.load(sys.stdin):
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    told = model.generate(**asked, max_new_tokens=tokens, do_sample=False)
    answers.append(tokenizer.decode(told[0, asked["input_ids"].shape[1] :], skip_special_tokens=True).strip())
print(json.dumps(answers))
