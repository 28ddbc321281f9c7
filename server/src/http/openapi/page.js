// Shows the description that the page names.
const viewer = document.getElementById("viewer");
window.SwaggerUIBundle({
  url: viewer.dataset.url,
  domNode: viewer,
  deepLinking: true,
  // nothing is sent elsewhere to be checked
  validatorUrl: null,
});
