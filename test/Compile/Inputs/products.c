/* The runtime's kernel and the loops in the code give the same bits. */
#include "inline.h"
#include "p.h"
#include <stdio.h>
#include <string.h>

static float a[33 * 70], b[70 * 40], x[33 * 40], y[33 * 40];

int main(void) {
  int code;
  for (int i = 0; i < 33 * 70; ++i)
    a[i] = (float)(i * 7919 % 1009) / 503.0f - 1.0f;
  for (int i = 0; i < 70 * 40; ++i)
    b[i] = (float)(i * 104729 % 997) / 499.0f - 1.0f;
  if ((code = product(a, 33, b, x)))
    return printf("%s\n", libp_error(code));
  if ((code = inline_product(a, 33, b, y)))
    return printf("error %d\n", code);
  puts(memcmp(x, y, sizeof x) ? "other bits" : "same bits");
  return 0;
}
