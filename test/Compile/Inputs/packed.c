#include "packed.h"
#include <stdio.h>

int main(void) {
  float x[9], ones[9], dx[9];
  int8_t bits[7];
  uint8_t maps[49];
  for (int i = 0; i < 9; ++i) {
    x[i] = i % 2 ? -1 : 1;
    ones[i] = 1;
  }
  for (int i = 0; i < 49; ++i)
    maps[i] = 1;
  printf("keep %d:", keep(x, 1, 9, bits));
  printf(" %d %d\n", bits[0], bits[1]);
  printf("pass %d:", pass_(bits, 1, 2, ones, 1, 9, dx));
  for (int i = 0; i < 9; ++i)
    printf(" %g", dx[i]);
  int code = pass_(bits, 1, 1, ones, 1, 9, dx);
  printf("\npass %d: %s\n", code & 15, packed_error(code));
  printf("maps %d:", call(maps, 1, 1, bits));
  for (int i = 0; i < 7; ++i)
    printf(" %d", (uint8_t)bits[i]);
  printf("\n");
  return 0;
}
