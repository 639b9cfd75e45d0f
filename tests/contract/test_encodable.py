from inscl.contract.encodable import encodable


def test_only_lone_surrogates_are_replaced():
    assert encodable("a \ud800 b\udfff") == "a \ufffd b\ufffd"
    assert [encodable(text) for text in ("", "ä 🙂 \0")] == ["", "ä 🙂 \0"]
