/* A stand-in for NVIDIA's driver library on a machine without a card: it loads, and answers CUDA_ERROR_NO_DEVICE to the first call. */

int cuInit(unsigned int flags) {
  (void)flags;
  return 100;
}

/* cudart asks for its functions by this one. */
int cuGetProcAddress_v2(const char *symbol, void **function, int version, unsigned long long flags, void *status) {
  (void)symbol, (void)version, (void)flags, (void)status;
  *function = (void *)cuInit;
  return 0;
}

int cuDriverGetVersion(int *version) {
  *version = 13000;
  return 0;
}
