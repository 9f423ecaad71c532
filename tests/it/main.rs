mod policy_files;
mod policy_slices;
