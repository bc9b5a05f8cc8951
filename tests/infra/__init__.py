"""What is deployed, and how: held to what it promises as far as that can be seen without an Azure subscription."""
