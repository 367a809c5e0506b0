// Loads a SavedModel as TF Serving does and writes on from texts.
//   load FOLDER TEXT...
// Prints each text, ended by a zero byte. Options keep their defaults.

#include <iostream>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/public/session.h"

int main(int argc, char** argv) {
  tensorflow::SavedModelBundle bundle;
  absl::Status status =
      tensorflow::LoadSavedModel({}, {}, argv[1], {"serve"}, &bundle);
  if (!status.ok()) {
    std::cerr << status << std::endl;
    return 1;
  }
  tensorflow::Tensor text(tensorflow::DT_STRING, {argc - 2});
  for (int i = 2; i < argc; ++i) {
    text.vec<tensorflow::tstring>()(i - 2) = argv[i];
  }
  const auto& signature = bundle.GetSignatures().at("serving_default");
  std::vector<tensorflow::Tensor> outputs;
  status = bundle.GetSession()->Run(
      {{signature.inputs().at("text").name(), text}},
      {signature.outputs().at("generated_text").name()}, {}, &outputs);
  if (!status.ok()) {
    std::cerr << status << std::endl;
    return 2;
  }
  for (int i = 0; i < argc - 2; ++i) {
    std::cout << outputs[0].vec<tensorflow::tstring>()(i) << '\0';
  }
}
