// Starts Swagger UI on the schema that the page names, and sends the session's CSRF token with "Try it out".
"use strict";
window.addEventListener("load", () => {
  const cookie = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
  SwaggerUIBundle({
    url: document.getElementById("swagger-ui").dataset.schema,
    dom_id: "#swagger-ui",
    deepLinking: true,
    requestInterceptor: (request) => {
      if (cookie) request.headers["X-CSRFToken"] = cookie.split("=")[1];
      return request;
    },
  });
});
