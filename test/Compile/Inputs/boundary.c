#include "boundary.h"
#include <stdio.h>
#include <string.h>

static void say(const char *what, int error) {
  printf("%s: %d %s\n", what, error & 15, boundary_error(error));
}

int main(void) {
  float x[6] = {0.6f, 1.4f, -2.6f, 3, 4, 5}, y[6], z[6], sum;
  uint8_t flag = 9;
  int64_t n = 0;
  say("ok", types(1.25, 7, 1, 0x3c00, &n, &flag, y));
  printf("%d %d %g %g\n", (int)n, flag, y[0], y[1]);

  say("ok", same(x, 2, 3, x, 3, y));
  printf("%g %g %g %g\n", y[0], y[1], y[2], y[5]);
  say("size", same(x, 2, 3, x, 2, y));
  say("negative", same(x, -1, 3, x, 3, y));
  say("null", same(NULL, 2, 3, x, 3, y));
  say("null result", same(x, 2, 3, x, 3, NULL));
  say("empty", same(NULL, 0, 3, x, 3, NULL));
  say("overflow",
      same(x, INT64_C(1) << 40, INT64_C(1) << 40, x, INT64_C(1) << 40, y));
  say("unaligned", same((const float *)((const char *)x + 2), 1, 1, x, 1, y));
  say("overlap", same(x, 2, 3, z, 3, x + 5));
  say("beside", same(x, 1, 3, z, 3, x + 3));

  memcpy(z, y, sizeof z);
  say("in place", update(z, 6, &sum));
  printf("%g\n", sum);
  say("in place", update(z, 5, &sum));
  say("code 12345", 12345);
  return 0;
}
