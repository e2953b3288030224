"""A way around a fault of vispy by which removing a layer may crash the program."""

from __future__ import annotations

from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QApplication
from vispy.gloo import gl


def let_go_of_buffers() -> None:
    """Have no canvas read buffers of layers that are gone.

    vispy leaves the attributes of what it drew last switched on. Once a layer of points or shapes is deleted they
    refer to no memory, and the next drawing of an image reads it: an access violation, with some drivers. Whatever is
    drawn next switches on what it needs.
    """
    for canvas in QApplication.allWidgets():
        if isinstance(canvas, QOpenGLWidget) and canvas.isValid():
            canvas.makeCurrent()
            for place in range(gl.glGetParameter(gl.GL_MAX_VERTEX_ATTRIBS)):
                gl.glDisableVertexAttribArray(place)
            canvas.doneCurrent()
