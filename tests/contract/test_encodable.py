from inscl.contract.encodable import encodable


def test_only_lone_surrogates_are_replaced():
    texts = ["a \ud800 b\udfff", "", "ä 🙂 \0"]
    assert encodable(texts) == ["a \ufffd b\ufffd", "", "ä 🙂 \0"]
