"""The measured function for functions-framework."""


def hello(request):
    return "hello", 200, {"content-type": "text/plain"}
