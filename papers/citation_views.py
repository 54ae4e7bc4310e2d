"""Citations of a paper as files."""

from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import conditional_page, require_safe

from papers.citations import MEDIA_TYPES, as_bibtex, as_csl, as_ris, as_text
from papers.models import Paper


@require_safe
@conditional_page
def citation(request: HttpRequest, slug: str, form: str) -> HttpResponse:
    """`form` is bib, json (CSL), ris or txt. A merged paper leads to the one that it became."""
    paper = get_object_or_404(Paper.objects.select_related("merged_into"), slug=slug)
    if paper.merged_into:
        return HttpResponsePermanentRedirect(reverse("citation", args=[paper.merged_into.slug, form]))
    here = request.build_absolute_uri(paper.get_absolute_url())
    answer: HttpResponse
    if form == "json":
        answer = JsonResponse([as_csl(paper, here)], safe=False, json_dumps_params={"ensure_ascii": False})
        answer["Content-Type"] = MEDIA_TYPES[form]
    else:
        write = {"bib": as_bibtex, "ris": as_ris, "txt": as_text}[form]
        answer = HttpResponse(write(paper, here), content_type=MEDIA_TYPES[form])
    answer["Content-Disposition"] = f'attachment; filename="{paper.slug}.{form}"'
    return answer
