#include "many.h"
#include <stdio.h>

#ifdef STRIDES
#define S , 1
#else
#define S
#endif

static float data[12][4], result[12][4];
static const float *x[12];
static float *y[12];
static int64_t n[12];

static void reset(void) {
  for (int i = 0; i < 12; ++i) {
    for (int j = 0; j < 4; ++j)
      data[i][j] = (float)(i + j % 2);
    x[i] = data[i];
    y[i] = result[i];
    n[i] = 4;
  }
}

static void call(const char *what) {
  float a = 15;
  int code =
      many(x[0], n[0] S, &a, x[1], n[1] S, &a, x[2], n[2] S, &a, x[3], n[3] S,
           &a, x[4], n[4] S, &a, x[5], n[5] S, &a, x[6], n[6] S, &a, x[7],
           n[7] S, &a, x[8], n[8] S, &a, x[9], n[9] S, &a, x[10], n[10] S, &a,
           x[11], n[11] S, &a, y[0] S, y[1] S, y[2] S, y[3] S, y[4] S, y[5] S,
           y[6] S, y[7] S, y[8] S, y[9] S, y[10] S, y[11] S);
  printf("%s: %d %s\n", what, code & 15, many_error(code));
  reset();
}

int main(void) {
  reset();
  call("ok");
  printf("%g %g %g %g\n", result[1][0], result[1][1], result[11][0],
         result[11][2] + data[0][1]);
  n[5] = -1;
  call("negative");
  n[11] = 3;
  call("unequal");
  x[7] = NULL;
  call("null");
  y[11] = NULL;
  call("null result");
  x[9] = (const float *)((const char *)x[9] + 1);
  call("alignment");
  return 0;
}
