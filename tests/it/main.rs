
mod policy_files;
mod policy_slices;
mod zz_perf;
