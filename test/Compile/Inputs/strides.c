#include "strides.h"
#include <stdio.h>

static void print(int error, const float *y, int n) {
  printf("%d:", error & 15);
  for (int i = 0; i < n; ++i)
    printf(" %g", y[i]);
  printf("\n");
}

int main(void) {
  float x[] = {1, 2, 3, 4, 5, 6}, y[6], gaps[12] = {0};
  print(my_twice(x, 2, 3, 3, 1, y, 3, 1), y, 6);
  print(my_twice(x, 2, 3, 3, 1, y, 1, 2), y, 6);
  print(my_twice(x + 5, 2, 3, -3, -1, gaps, 6, 2), gaps, 12);
  print(my_twice(x, 2, 3, 3, 1, x, 3, 1), x, 6);
  return 0;
}
