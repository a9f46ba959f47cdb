from fakeface.reporting.terminal import number, table_row


def test_a_number_has_three_digits_and_may_have_an_interval() -> None:
    assert [number(0.12345), number(1.0), number(None)] == ["0.123", "1.000", "-"]
    assert number(0.5, (0.45, 0.5561)) == "0.500 (0.450 to 0.556)"
    assert number(None, (0.4, 0.6)) == "-"


def test_a_table_row_has_no_blanks_at_its_end() -> None:
    assert table_row(("name", "0.5", "-"), (6, 5, 8)) == "name  0.5  -"
