"""The slider over pictures: its links, pictures and texts."""

import re

import ipywidgets
import pytest
from ipywidgets.widgets import widget

import multigan_lib as mg
from multigan_lib import widgets


def pictures(count):
    return [mg.figures.axes(width=1, height=1)[0] for _ in range(count)]


def test_slider_turns_over_the_pictures_in_the_browser():
    box = widgets.frames(pictures(3), [0, 100, 100], alt="A picture", name="step")
    slider, stack = box.children
    assert [label for label, _ in slider.options] == ["0", "100", "100"]
    assert slider.description == "step"
    assert len(stack.children) == 3 and stack.selected_index == 0
    links = [
        link
        for link in widget._instances.values()
        if isinstance(link, ipywidgets.widgets.widget_link.Link)
        and link.source[0] is slider
    ]
    (link,) = links
    assert link.source == (slider, "index")
    assert link.target == (stack, "selected_index")
    # A static page has the widgets' state only: both ends must be in it.
    assert "index" in slider.get_state() and "selected_index" in stack.get_state()


def test_every_picture_has_its_own_alternative_text():
    box = widgets.frames(pictures(2), ["a", "b"], alt='The "same" picture')
    texts = [
        re.search(r'alt="([^"]*)"', child.value)[1]
        for child in box.children[1].children
    ]
    assert texts == [
        "The &quot;same&quot; picture (a)",
        "The &quot;same&quot; picture (b)",
    ]


def test_errors():
    with pytest.raises(ValueError, match="alt="):
        widgets.frames(pictures(1), ["a"], alt=" ")
    with pytest.raises(ValueError, match="2 figures and 1 labels"):
        widgets.frames(pictures(2), ["a"], alt="x")
    with pytest.raises(ValueError, match="0 figures"):
        widgets.frames([], [], alt="x")


def test_version_7_of_ipywidgets_has_no_stack(monkeypatch):
    monkeypatch.delattr(ipywidgets, "Stack")
    slider, page = widgets.frames(pictures(2), ["a", "b"], alt="x").children
    assert "(a)" in page.value
    slider.index = 1
    assert "(b)" in page.value
