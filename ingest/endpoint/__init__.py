"""The optional second reader of abstracts: a language model behind any endpoint that speaks OpenAI's chat completions.

Off until ENDPOINT_URL is set. Everything here but `services` is pure: no Django, no database. Only `client` speaks to the
network, and only it imports an HTTP library, so that nothing of that is loaded where the endpoint is off.
"""
