"""Orders of tasks that the literature uses, under names that can't be confused.

Papers number their orders and the numbers collide between repositories, so these are named after their benchmark.
"""

from __future__ import annotations

from collections.abc import Sequence

from inscl.data.quoting import excerpt
from inscl.errors import ConfigError, Problem, nearest

__all__ = ["ALIASES", "ORDERS", "arrange"]


def _tasks(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


_CURRICULUM = _tasks(
    "Classification, Text_Quality_Evaluation, Code, Detection, Sentiment_Analysis, Comprehension, Closed_QA, "
    "Extraction, Dialogue, Program_Execution, Rewriting, Open_QA, Misc, Generation, Summarization, Mathematics"
)

# CITB's tasks by their names in natural-instructions: InstrDialog's 19, then the 19 that InstrDialog++ adds.
_CITB = _tasks(
    "task294_storycommonsense_motiv_text_generation, task565_circa_answer_generation, "
    "task573_air_dialogue_classification, task574_air_dialogue_sentence_generation, "
    "task576_curiosity_dialogs_answer_generation, task611_mutual_multi_turn_dialogue, "
    "task639_multi_woz_user_utterance_generation, task766_craigslist_bargains_classification, "
    "task848_pubmedqa_classification, task1384_deal_or_no_dialog_classification, "
    "task1500_dstc3_classification, task1501_dstc3_answer_generation, task1590_diplomacy_text_generation, "
    "task1600_smcalflow_sentence_generation, task1603_smcalflow_sentence_generation, "
    "task1713_convai3_sentence_generation, task1714_convai3_sentence_generation, "
    "task1729_personachat_generate_next, task1730_personachat_choose_next, "
    "task082_babi_t1_single_supporting_fact_question_generation, "
    "task298_storycloze_correct_end_classification, task301_record_question_generation, "
    "task306_jeopardy_answer_generation_double, task347_hybridqa_incorrect_answer_generation, "
    "task379_agnews_topic_classification, task459_matres_static_classification, "
    "task598_cuad_answer_generation, task636_extract_and_sort_unique_alphabets_in_a_list, "
    "task864_asdiv_singleop_question_answering, task927_yelp_negative_to_positive_style_transfer, "
    "task967_ruletaker_incorrect_fact_generation_based_on_given_paragraph, task1151_swap_max_min, "
    "task1203_atomic_classification_xreact, task1360_numer_sense_multiple_choice_qa_generation, "
    "task1427_country_region_in_world, task1549_wiqa_answer_generation_missing_step, "
    "task1553_cnn_dailymail_summarization, task1607_ethos_text_classification"
)


def _citb(numbers: str) -> tuple[str, ...]:
    """CITB's tasks by their numbers."""
    names = {name.partition("_")[0].removeprefix("task"): name for name in _CITB}
    return tuple(names[number] for number in numbers.split())


ORDERS: dict[str, tuple[str, ...]] = {
    # InsCL (Wang et al., NAACL 2024), the 16 categories of Super-NaturalInstructions, easy to hard.
    "superni16_curriculum": _CURRICULUM,
    "superni16_reverse": _CURRICULUM[::-1],
    "superni16_random": _tasks(
        "Text_Quality_Evaluation, Mathematics, Dialogue, Summarization, Extraction, Misc, Closed_QA, Code, Rewriting, "
        "Detection, Comprehension, Sentiment_Analysis, Open_QA, Program_Execution, Generation, Classification"
    ),
    # O-LoRA (Wang et al., EMNLP Findings 2023), four classification tasks.
    "olora4_1": _tasks("dbpedia, amazon, yahoo, agnews"),
    "olora4_2": _tasks("dbpedia, amazon, agnews, yahoo"),
    "olora4_3": _tasks("yahoo, amazon, agnews, dbpedia"),
    # Progressive Prompts (Razdaibiedina et al., ICLR 2023), fifteen tasks; numbered differently in every repository.
    "fifteen_a": _tasks(
        "yelp, amazon, MNLI, CB, COPA, QQP, RTE, IMDB, SST-2, dbpedia, agnews, yahoo, MultiRC, BoolQ, WiC"
    ),
    "fifteen_b": _tasks(
        "MNLI, CB, WiC, COPA, QQP, BoolQ, RTE, IMDB, yelp, amazon, SST-2, dbpedia, agnews, MultiRC, yahoo"
    ),
    "fifteen_c": _tasks(
        "MultiRC, BoolQ, WiC, MNLI, CB, COPA, QQP, RTE, IMDB, SST-2, dbpedia, agnews, yelp, amazon, yahoo"
    ),
    # SAPT (Zhao et al., ACL 2024), fifteen tasks of Super-NaturalInstructions by number.
    "superni15_sapt_1": _tasks("1572, 363, 1290, 181, 002, 1510, 639, 1729, 073, 1590, 748, 511, 591, 1687, 875"),
    "superni15_sapt_2": _tasks("748, 073, 1590, 639, 1572, 1687, 591, 363, 1510, 1729, 181, 511, 002, 1290, 875"),
    # TRACE (Wang et al., 2023), eight tasks.
    "trace": _tasks("C-STANCE, FOMC, MeetingBank, Py150, ScienceQA, NumGLUE-cm, NumGLUE-ds, 20Minuten"),
    # CITB (Zhang et al., EMNLP Findings 2023), from data/CIT_data/task_orders of its repository: InstrDialog, 19 tasks.
    "citb_instrdialog_1": _citb(
        "848 611 565 1714 574 1590 1730 294 576 1600 1500 639 1729 1501 1713 766 1603 1384 573"
    ),
    "citb_instrdialog_2": _citb(
        "848 1603 1714 565 611 1590 1600 639 294 1500 1384 1713 1501 576 574 1729 766 573 1730"
    ),
    "citb_instrdialog_3": _citb(
        "1713 576 1384 294 573 611 1729 1600 574 1590 848 639 766 1501 565 1603 1730 1500 1714"
    ),
    # InstrDialog++, 38 tasks; the three orders of the same place.
    "citb_instrdialog_plus_1": _citb(
        "864 967 1553 1549 639 766 636 1501 459 1203 1500 611 347 574 598 379 1384 1360 1714 576 082 1590 1729 "
        "565 1730 1603 301 298 306 1600 1427 848 1713 1151 927 294 1607 573"
    ),
    "citb_instrdialog_plus_2": _citb(
        "1203 967 347 1501 379 576 639 766 1384 1729 294 1730 1603 1714 1151 298 1600 1607 082 848 1549 636 565 "
        "574 598 459 927 1553 1427 301 864 573 1713 1500 1590 1360 611 306"
    ),
    "citb_instrdialog_plus_3": _citb(
        "598 379 301 1151 639 1590 1553 1500 864 565 967 636 927 1384 1729 1603 1360 1501 082 1714 306 1203 573 "
        "459 1607 1713 1549 347 576 1427 294 766 611 1600 848 298 1730 574"
    ),
}

# The paper's own names for its orders.
ALIASES = {
    "curriculum": "superni16_curriculum",
    "reverse": "superni16_reverse",
    "random": "superni16_random",
}


def arrange(order: str | Sequence[str], present: Sequence[str]) -> tuple[list[str], list[str]]:
    """Put tasks in an order.

    Args:
        order: A name in `ORDERS` or `ALIASES`, or task names.
        present: The tasks that there are.

    Returns:
        The tasks to learn, in order, and findings: tasks left out because the order doesn't hold them, and tasks of a
        named order that aren't there.

    Raises:
        ConfigError: There is no order of that name, or none of its tasks are there; a task of the list isn't there,
            or stands twice.
    """
    if isinstance(order, str):
        names = _named(order)
        wanted = [name for name in names if name in present]
        absent = [name for name in names if name not in present]
        if not wanted:
            raise _problem(f"none of the tasks of {order!r} are here; the stream has {', '.join(present)}")
    else:
        wanted, absent = _listed(order, present), []
    left = [name for name in present if name not in wanted]
    findings = [f"left out, not in the order: {', '.join(left)}"] if left else []
    if absent:
        findings.append(f"in the order {order!r} but not in the data: {', '.join(absent)}")
    return wanted, findings


def _named(order: str) -> tuple[str, ...]:
    names = ORDERS.get(ALIASES.get(order, order))
    if names is None:
        raise _problem(f"no order is named {excerpt(order)}{nearest(order, [*ALIASES, *ORDERS])}; or list task names")
    return names


def _listed(order: Sequence[str], present: Sequence[str]) -> list[str]:
    names = [str(name) for name in order]
    if not names:
        raise _problem("the list of task names is empty")
    for name in names:
        if name not in present:
            raise _problem(f"there is no task {excerpt(name)}{nearest(name, present)}")
        if names.count(name) > 1:
            raise _problem(f"the task {excerpt(name)} stands twice; a task is learned once")
    return names


def _problem(message: str) -> ConfigError:
    return ConfigError([Problem("stream.order", message)])
