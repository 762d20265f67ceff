/* A C program that calls a quantizer and its gradient, compiled ahead of time:
 *
 *   qopt-compile examples/pact_backward.mlir -o libpact.so --header=pact.h
 *   cc examples/c/pact.c -I. -L. -lpact -Wl,-rpath,. -o pact && ./pact
 */
#include "pact.h"

#include <stdio.h>

int main(void) {
  const float x[] = {-1, 0.5f, 1, 2, 3}, dy[] = {1, 1, 1, 1, 1}, alpha = 2;
  float y[5], dx[5], dalpha;
  int error = pact_backward(x, 5, &alpha, dy, 5, y, dx, &dalpha);
  if (error) {
    fprintf(stderr, "%s\n", libpact_error(error));
    return 1;
  }
  for (int i = 0; i < 5; ++i)
    printf("x %4g  y %.4f  dx %g\n", x[i], y[i], dx[i]);
  printf("dalpha %g\n", dalpha);

  /* A call that does not fit does nothing, and says why. */
  error = pact_backward(x, 5, &alpha, dy, 4, y, dx, &dalpha);
  printf("error %d: %s\n", error & 15, libpact_error(error));
  return 0;
}
