// The measured function for functions-framework.
exports.hello = (_request, response) => {
  response.status(200).set("content-type", "text/plain").send("hello");
};
