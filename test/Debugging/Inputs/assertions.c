#include "gather.h"
#include <stdio.h>
#include <stdlib.h>

#ifdef OWN
void quant_ste_assertion_failed(const char *message) {
  printf("the program's own: %s\n", message);
  exit(3);
}
#endif

int main(void) {
  float x[] = {1, 2, 3, 4}, y[2];
  int32_t i[] = {1, 4};
  return gather(x, 4, i, 2, y);
}
