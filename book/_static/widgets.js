// The widgets typeset their labels with MathJax 2 (MathJax.Hub.Queue), which MathJax 3
// no longer has: without this they stop with an error. This file is deferred, so it
// runs after MathJax and before the widgets.
if (window.MathJax && !window.MathJax.Hub) {
  window.MathJax.Hub = {
    Queue: ([, , element]) =>
      MathJax.startup.promise.then(() => MathJax.typesetPromise([element])),
  };
}
