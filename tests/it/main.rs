
mod policy_slices;
