import pytest

from tools.report.summary.render import compact


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (5, "5"),
        (0.5625, "0.5625"),
        (23.976, "23.98"),
        (-12.3456, "-12.35"),
        (9999, "9999"),
        (99999, "99999"),
        (12345.6, "12346"),
        (409920, "409.9k"),
        (2073600, "2.074M"),
        (3.5e9, "3.5G"),
        (1e12, "1T"),
        (0.001, "0.001"),
        (0.00012, "1.2e-04"),
        (1e20, "1.0e+20"),
    ],
)
def test_numbers_keep_four_digits(number, text):
    assert compact(number) == text


@pytest.mark.parametrize(("number", "text"), [(-1.2e-5, "-1e-05"), (837.2e9, "837G"), (0.5625, "0.562")])
def test_three_digits_are_shorter(number, text):
    assert compact(number, digits=3) == text
