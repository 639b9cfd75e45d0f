from __future__ import annotations

import pytest

from inscl.data.orders import ALIASES, ORDERS, arrange
from inscl.errors import ConfigError


def test_every_order_of_a_benchmark_holds_the_same_tasks() -> None:
    for names in (
        ["superni16_curriculum", "superni16_reverse", "superni16_random"],
        ["olora4_1", "olora4_2", "olora4_3"],
        ["fifteen_a", "fifteen_b", "fifteen_c"],
        ["superni15_sapt_1", "superni15_sapt_2"],
    ):
        size = int("".join(filter(str.isdigit, names[0].split("_")[0])) or 15)
        for name in names:
            assert len(ORDERS[name]) == len(set(ORDERS[name])) == size
            assert set(ORDERS[name]) == set(ORDERS[names[0]])
    assert len(set(ORDERS.values())) == len(ORDERS)


def test_citbs_orders_are_orders_of_its_two_streams() -> None:
    short = [set(ORDERS[f"citb_instrdialog_{number}"]) for number in (1, 2, 3)]
    long = [set(ORDERS[f"citb_instrdialog_plus_{number}"]) for number in (1, 2, 3)]
    assert short[0] == short[1] == short[2] < long[0] == long[1] == long[2]
    assert (len(short[0]), len(long[0])) == (19, 38)
    for name in (name for name in ORDERS if name.startswith("citb")):
        assert len(set(ORDERS[name])) == len(ORDERS[name])
    # First, tenth and last lines of the repository's order files.
    for number, lines in {
        1: "task848_pubmedqa_classification task1600_smcalflow_sentence_generation task573_air_dialogue_classification",
        2: "task848_pubmedqa_classification task1500_dstc3_classification task1730_personachat_choose_next",
        3: "task1713_convai3_sentence_generation task1590_diplomacy_text_generation "
        "task1714_convai3_sentence_generation",
    }.items():
        order = ORDERS[f"citb_instrdialog_{number}"]
        assert [order[0], order[9], order[-1]] == lines.split()
    for number, lines in {
        1: "task864_asdiv_singleop_question_answering task1203_atomic_classification_xreact "
        "task573_air_dialogue_classification",
        2: "task1203_atomic_classification_xreact task1729_personachat_generate_next "
        "task306_jeopardy_answer_generation_double",
        3: "task598_cuad_answer_generation task565_circa_answer_generation task574_air_dialogue_sentence_generation",
    }.items():
        order = ORDERS[f"citb_instrdialog_plus_{number}"]
        assert [order[0], order[9], order[-1]] == lines.split()


def test_the_papers_orders() -> None:
    curriculum = ORDERS[ALIASES["curriculum"]]
    assert (curriculum[0], curriculum[9], curriculum[-1]) == ("Classification", "Program_Execution", "Mathematics")
    assert ORDERS[ALIASES["reverse"]] == curriculum[::-1]
    assert ORDERS[ALIASES["random"]][:2] == ("Text_Quality_Evaluation", "Mathematics")


def test_a_named_order_says_what_it_leaves_out_and_what_is_missing() -> None:
    names, findings = arrange("curriculum", ["Mathematics", "Mine", "Code"])
    assert names == ["Code", "Mathematics"]
    assert findings[0] == "left out, not in the order: Mine"
    assert "not in the data: Classification" in findings[1]


def test_a_list_of_names() -> None:
    assert arrange(["b", "a"], ["a", "b"]) == (["b", "a"], [])
    assert arrange(["b"], ["a", "b"]) == (["b"], ["left out, not in the order: a"])


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("curiculum", "did you mean 'curriculum'"),
        ("trace", "none of the tasks"),
        (["Cod"], "no task 'Cod' .did you mean 'Code'"),
        (["Code", "Code"], "stands twice"),
        ([], "empty"),
    ],
)
def test_orders_that_can_not_be(order: str | list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        arrange(order, ["Code", "Mathematics"])
    assert "stream.order" in str(caught.value)
